import { faultsOf, type Mutant } from "../mutants.ts";

const policy = "sdk/inference/scheduler/policy.test.ts";
const prefixes = "sdk/inference/scheduler/prefix_cache.test.ts";
const session = "sdk/inference/session.test.ts";
const load = "sdk/inference/load.test.ts";

const readings = "sdk/inference/prompt_projections.test.ts";

export const INFERENCE: readonly Mutant[] = [
  ...faultsOf("sdk/inference/dtype.ts", "sdk/inference/dtype.test.ts", [
    ["a GPU's weights are q8 without being asked for", 'kind !== "wasm"', "kind.length === 0"],
    ["exact weights that were asked for are q8", 'asked !== "auto" ||', "asked.length === 0 ||"],
  ]),
  ...faultsOf("sdk/inference/scheduler/hook_sets.ts", readings, [
    ["readings before and behind a cap are one", "{n_before} $", "{0} $"],
  ]),
  ...faultsOf("sdk/inference/scheduler/sequence.ts", "sdk/inference/cache_salt.test.ts", [
    ["a fork has no salt", "this.#ropes, this.#cache_salt)", 'this.#ropes, "")'],
  ]),
  ...faultsOf("sdk/inference/scheduler/prefix_cache.ts", readings, [
    [
      "a prefix that was not read is found",
      "!names.every((name) => node.readings.has(name))",
      "names.length > 8",
    ],
    ["readings of another block", "start - from + size));", "start - from + size).reverse());"],
  ]),
  ...faultsOf("sdk/inference/scheduler/hook_sets.ts", policy, [
    ["hook sets are never freed", "if (entry.id !== 0) freeOn(() => this.#device.freeHooks(entry.id));", ""],
    ["hook sets go with their first user", "if (--entry.users > 0) return;", "--entry.users;"],
    [
      "a set is uploaded for each user",
      "if (entry === undefined) {",
      "if (entry === undefined || entry.users > 0) {",
    ],
    ["readings part prefixes", 'plan.hooks.filter((hook) => hook.op !== "project")', "plan.hooks"],
    ["floors part no prefixes", "{hook.floor} $", "{0 * hook.site} $"],
  ]),
  ...faultsOf("sdk/inference/scheduler/prefix_cache.ts", prefixes, [
    ["the newest prefix is evicted", "(a, b) => a.used_at - b.used_at", "(a, b) => b.used_at - a.used_at"],
    [
      "what somebody holds is evicted",
      "this.#pool.references(block) === 1",
      "this.#pool.references(block) >= 1",
    ],
    ["a use does not count", "node.used_at = ++this.#clock;\n      found.push", "found.push"],
    [
      "a prefix of another key is found",
      "let level = this.#roots.get(key);",
      "let level = this.#roots.get(key) ?? this.#roots.values().next().value;",
    ],
    ["brief prompts fill the memory", "const BRIEF_SHARE = 1 / 16;", "const BRIEF_SHARE = 1;"],
  ]),
  ...faultsOf("sdk/inference/scheduler/choose_batch.ts", policy, [
    ["prompts come before next tokens", "[...single, ...longer]", "[...longer, ...single]"],
    [
      "the client that was served most comes first",
      "admission.served(a.scheduled) - admission.served(b.scheduled)",
      "admission.served(b.scheduled) - admission.served(a.scheduled)",
    ],
    [
      "a step has no end",
      "Math.min(slot.count, left, slot.scheduled.chunk_limit)",
      "Math.min(slot.count, slot.scheduled.chunk_limit)",
    ],
  ]),
  ...faultsOf("sdk/inference/scheduler/scheduled_sequence.ts", policy, [
    [
      "chunks come from the prompt's end",
      "start: progress.dispatched,",
      "start: progress.remaining > progress.dispatched ? progress.dispatched : 0,",
    ],
  ]),
  ...faultsOf("sdk/inference/scheduler/admission.ts", policy, [
    [
      "the client that was served most is admitted",
      "if (first === undefined || served > least) continue;",
      "if (first === undefined || (chosen !== undefined && served < least)) continue;",
    ],
    ["tokens are not counted", "served += n_tokens;", "served += 0 * n_tokens;"],
    [
      "newcomers have a claim to all that others had",
      "client.served = Math.max(client.served, least);",
      "client.served = Math.max(client.served, 0);",
    ],
    ["what was preempted comes last", "if (this.#preempted.length > 0) return this.#preempted[0];", ""],
    [
      "a queue is one too long",
      "if (n_queued < this.#max_queue) return;",
      "if (n_queued <= this.#max_queue) return;",
    ],
    [
      "what would run at once counts as waiting",
      "const n_queued = this.#n_waiting - n_free;",
      "const n_queued = this.#n_waiting;",
    ],
    ["a drained model takes requests", "if (this.#is_closed) throw drainingError();", ""],
    [
      "a drain ends before the last sequence",
      "if (--this.#n_present > 0) return;",
      "if (--this.#n_present > 1) return;",
    ],
  ]),
  ...faultsOf("sdk/inference/scheduler/scheduler.ts", policy, [
    [
      "what a last-position hook changed is shared",
      "if (sequence.hooks.plan.acts_on_last || progress.call",
      "if (progress.call",
    ],
  ]),
  ...faultsOf("sdk/inference/scheduler/kv_memory.ts", "sdk/inference/scheduler/memory.test.ts", [
    ["cached prefixes never give way", "if (prefixes.evict(short()) > 0) continue;", ""],
  ]),
  ...faultsOf("sdk/inference/load.ts", load, [
    ["the cache may take all that is free", "share: 0.25", "share: 1"],
    [
      "the cache has no upper bound",
      "const budget = Math.min(CACHE.most, Math.max(",
      "const budget = Math.min(Infinity, Math.max(",
    ],
    ["less than one sequence fits", "Math.max(one_sequence, Math.floor(", "Math.max(1, Math.floor("],
    [
      "what the device holds does not bound the cache",
      "max_blocks: Math.min(\n      model.memory.max_blocks,",
      "max_blocks: Math.min(\n      Infinity,",
    ],
  ]),
  ...faultsOf("sdk/inference/context_length.ts", "sdk/inference/context_length.test.ts", [
    ["learned positions have no end", "if (asked > learned) {", "if (asked > 2 * learned) {"],
  ]),
  ...faultsOf("sdk/inference/sampling.ts", "sdk/inference/sampling.test.ts", [
    [
      "the model's settings come before the caller's",
      "{ ...model.defaults, ...options }",
      "{ ...options, ...model.defaults }",
    ],
    ["a high seed is a low one", "Math.floor(value / 2 ** 32)", "0"],
  ]),
  ...faultsOf("sdk/inference/reply.ts", "sdk/inference/reply.test.ts", [
    ["a reader that leaves ends nothing", "if (!this.#is_over) this.#cancel();", ""],
    ["readers share their place", "this.#reply.at(this.#index++)", "this.#reply.at(0 * this.#index++)"],
  ]),
  ...faultsOf("sdk/inference/session.ts", session, [
    [
      "more tokens than there are can be kept",
      "n_tokens > this.#n_planned",
      "n_tokens > this.#n_planned + 1",
    ],
    [
      "calls run beside each other",
      "const turn = this.#last\n      .catch(() => {})\n      .then(work)",
      "const turn = Promise.resolve()\n      .then(work)",
    ],
  ]),
  ...faultsOf("sdk/inference/step_size.ts", "sdk/inference/step_size.test.ts", [
    ["every expert counts for every token", "op.top_k * (", "weights.length * ("],
  ]),
];
