import { CapstanError, type Device, type Hook, type StepEntry } from "../../models/index.ts";
import { type GenerateOptions, type GenerateResult, generate, type Model } from "../../sdk/index.ts";
import { loadOn } from "../../sdk/inference/load.ts";
import { Random } from "../fuzz/mutate.ts";
import { limited, newSeen } from "../limited.ts";
import { runtimeOf } from "../runtime_of.ts";

/**
 * Many callers at once on one model that is short of memory: replies and sessions, some broken off in every way there
 * is, some steps failing. What comes to its end must be what it is alone; nothing may stay.
 */
export interface SoakOptions {
  /** Callers in all, and those at work at once. */
  count: number;
  concurrency: number;
  seed: number;
  source: string;
  /** KV blocks that memory holds. */
  blocks: number;
  makeDevice: () => Promise<Device>;
  /** Whether the device computes the same bits in any batch: then results are compared whole, else their tokens. */
  same_bits: boolean;
  on_progress?: (done: number) => void;
}

export interface SoakReport {
  finished: number;
  aborted: number;
  left: number;
  sessions: number;
  /** Each a caller whose result or error was not the right one, with its number. */
  wrong: string[];
  steps: number;
  failed_steps: number;
  /** Blocks and hook sets in use at the end, once the prefix cache is cleared. */
  blocks: number;
  hook_sets: number;
  /** Bytes of JavaScript's heap after the first quarter and at the end, garbage collected. */
  heap: [number, number];
}

/** How a caller's reply ends. */
type Fate = "whole" | "signal" | "break" | "cancelled" | "never read" | "session";

interface Caller {
  n: number;
  prompt: number[];
  options: GenerateOptions;
  fate: Fate;
  /** Tokens read before it is broken off. */
  after: number;
}

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const { count, concurrency, seed, source, makeDevice } = options;
  const seen = newSeen();
  const faults = new Random(seed ^ 0x5bd1e995);
  const limits = {
    blocks: options.blocks,
    // Now and then memory is short for a step, or it fails in another way; what runs alone, a token at a time, succeeds.
    on_step: (batch: readonly StepEntry[]) => {
      const parts = { action: "run a step", need: "better luck", found: "a fault of the soak" };
      if (batch.some(({ tokens }) => tokens.length > 1) && faults.chance(0.1))
        throw new CapstanError("out_of_memory", parts);
      if (batch.length > 1 && faults.chance(0.04)) throw new CapstanError("bad_request", parts);
    },
  };
  const model = await loadOn(source, {}, async () => limited(await makeDevice(), limits, seen));
  const roomy = await loadOn(source, {}, makeDevice);
  const report: SoakReport = {
    ...{ finished: 0, aborted: 0, left: 0, sessions: 0, wrong: [], steps: 0, failed_steps: 0, blocks: 0 },
    ...{ hook_sets: 0, heap: [0, 0] },
  };
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const caller = draw(model, seed, next++);
      const wrong = await attend(model, roomy, caller, report, options.same_bits).catch(String);
      if (wrong !== null) report.wrong.push(`caller ${caller.n} (${caller.fate}): ${wrong}`);
      if (caller.n === count >> 2) report.heap[0] = heapUsed();
      options.on_progress?.(caller.n + 1);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  const { scheduler } = runtimeOf(model);
  scheduler.prefixes.clear();
  report.heap[1] = heapUsed();
  report.blocks = scheduler.pool.used;
  report.hook_sets = scheduler.hook_sets.size;
  report.failed_steps = seen.failed_steps;
  report.steps = seen.steps;
  await model.dispose();
  await roomy.dispose();
  if (seen.blocks !== 0) report.wrong.push(`${seen.blocks} blocks of the device were never freed`);
  return report;
}

/** A stream over a reply, as a server hands it on; nothing is read before it is asked for. */
function streamOf(reply: AsyncIterable<unknown>): ReadableStream {
  const iterator = reply[Symbol.asyncIterator]();
  const cancel = async () => void (await iterator.return?.());
  return new ReadableStream({ cancel }, { highWaterMark: 0 });
}

function heapUsed(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().heapUsed;
}

function draw(model: Model, seed: number, n: number): Caller {
  const random = new Random(seed * 1_000_003 + n);
  const { d_vocab, eos_token_ids } = model.spec;
  // A few beginnings that many share, so that the prefix cache has work.
  const family = random.below(4);
  const length = 1 + random.below(Math.min(model.n_ctx >> 1, random.chance(0.2) ? 200 : 50));
  const at = random.chance(0.5) ? length : random.below(length);
  const prompt = Array.from({ length }, (_, i) => (3 + ((i < at ? family * 37 : n) + i * 7)) % d_vocab);
  const hooks = Array.from({ length: random.below(3) }, () => drawHook(model, random));
  const mean = random.chance(0.2) ? ["blocks.1.hook_resid_post"] : [];
  const stop_token_ids = [random.below(d_vocab)];
  const eos = eos_token_ids[0] ?? 0;
  return {
    n,
    prompt,
    fate: random.pick<Fate>([
      "whole",
      "whole",
      "whole",
      "signal",
      "break",
      "cancelled",
      "never read",
      "session",
    ]),
    after: random.below(12),
    options: {
      hooks,
      max_tokens: 1 + random.below(40),
      temperature: random.pick([0, 0, 0.8, 1.5]),
      top_p: random.pick([1, 0.9]),
      seed: n,
      frequency_penalty: random.pick([0, 0, 0.5]),
      logit_bias: { [eos]: random.pick([-99, 0, 4]) },
      mean,
      stop_token_ids,
      logprobs: random.chance(0.3) ? 2 : false,
    },
  };
}

function drawHook(model: Model, random: Random): Hook {
  const { d_model, n_layers } = model.spec;
  const kind = random.below(4);
  const vector = Float32Array.from({ length: d_model }, (_, i) => Math.sin(i * (kind + 1)));
  const site = `blocks.${random.below(n_layers)}.hook_resid_post` as const;
  const positions = random.chance(0.3) ? "last" : "all";
  if (kind === 0) return { kind: "project", site, vector };
  if (kind === 1) return { kind: "ablate", site, vector, positions };
  if (kind === 2) return { kind: "add", site, vector, coefficient: 0.1, positions };
  return { kind: "cap", site, vector, floor: random.below(3), positions };
}

/** Runs one caller; says what was wrong with what it got, or null. */
async function attend(
  model: Model,
  roomy: Model,
  caller: Caller,
  report: SoakReport,
  same_bits: boolean,
): Promise<string | null> {
  if (caller.fate === "session") return await attendSession(model, roomy, caller, report, same_bits);
  const { prompt, options, fate, after } = caller;
  const controller = new AbortController();
  const reply = generate(model, prompt, { ...options, signal: controller.signal });
  if (fate === "cancelled") await streamOf(reply).cancel();
  if (fate === "never read") await reply[Symbol.asyncIterator]().return?.();
  if (fate === "signal" && after === 0) controller.abort();
  let read = 0;
  const readSome = async () => {
    for await (const _ of reply) {
      if (++read <= after) continue;
      if (fate === "break") break;
      controller.abort();
    }
  };
  // A reader meets an abort as `result` does, below.
  if (fate === "signal" || fate === "break") await readSome().catch(() => {});
  const result = await reply.result.catch((error: unknown) => {
    if (fate === "signal" && error instanceof CapstanError && error.code === "aborted") return null;
    throw error;
  });
  if (result === null) {
    report.aborted++;
    return null;
  }
  const expected = await generate(roomy, prompt, options).result;
  if (result.finish_reason === "abort") {
    report.left++;
    if (fate !== "break" && fate !== "cancelled" && fate !== "never read") return "nobody had left";
    return startsAlike(result, expected) ? null : differs(result, expected);
  }
  report.finished++;
  return isEqual(result, expected, same_bits) ? null : differs(result, expected);
}

/** A session's calls, some of them in flight at once: each must give what it gives on a session of its own. */
async function attendSession(
  model: Model,
  roomy: Model,
  { n, prompt, options }: Caller,
  report: SoakReport,
  same_bits: boolean,
): Promise<string | null> {
  report.sessions++;
  const random = new Random(n);
  const hooks = { hooks: options.hooks ?? [] };
  await using ours = await model.session(hooks);
  await using theirs = await roomy.session(hooks);
  const pairs: Promise<[Float32Array, Float32Array]>[] = [];
  let planned = 0;
  for (let step = 0; step < 5; step++) {
    const roll = random.below(10);
    const tokens = prompt.slice(0, 1 + random.below(prompt.length));
    if ((roll < 6 && planned + tokens.length < Math.min(200, model.n_ctx - prompt.length)) || planned === 0) {
      planned += tokens.length;
      const both = [ours.forward(tokens), theirs.forward(tokens)] as const;
      pairs.push(Promise.all(both).then(([a, b]) => [a.logits, b.logits]));
    } else if (roll < 9) {
      planned = random.below(planned + 1);
      void ours.truncate(planned);
      void theirs.truncate(planned);
    } else {
      const both = [ours.fork(), theirs.fork()] as const;
      pairs.push(Promise.all(both).then(async ([a, b]) => await lastOf(a, b, tokens)));
    }
    // What one call did wrong must not be every later one's.
    if (random.chance(0.5)) await pairs.at(-1);
  }
  for (const settled of await Promise.allSettled(pairs)) {
    if (settled.status === "rejected") throw settled.reason;
    const [a, b] = settled.value;
    const is_right = same_bits
      ? a.every((x, i) => x === b[i])
      : a.every((x, i) => Math.abs(x - b[i]!) < 1e-2);
    if (!is_right || a.length !== b.length) return `other logits than alone (of ${pairs.length} calls)`;
  }
  return null;
}

type Session = Awaited<ReturnType<Model["session"]>>;

async function lastOf(a: Session, b: Session, tokens: number[]): Promise<[Float32Array, Float32Array]> {
  const [of_a, of_b] = await Promise.all([a.forward(tokens), b.forward(tokens)]);
  await Promise.all([a.dispose(), b.dispose()]);
  return [of_a.logits, of_b.logits];
}

function isEqual(a: GenerateResult, b: GenerateResult, same_bits: boolean): boolean {
  if (!same_bits) return a.text === b.text && a.tokens.join() === b.tokens.join();
  const { usage: of_a, ...ours } = a;
  const { usage: of_b, ...theirs } = b;
  return plain(ours) === plain(theirs) && of_a.completion_tokens === of_b.completion_tokens;
}

function startsAlike(part: GenerateResult, whole: GenerateResult): boolean {
  return whole.tokens.join().startsWith(part.tokens.join()) && whole.text.startsWith(part.text);
}

function differs(a: GenerateResult, b: GenerateResult): string {
  return `${plain(a).slice(0, 200)} is not ${plain(b).slice(0, 200)}`;
}

function plain(value: unknown): string {
  return JSON.stringify(value, (_, part) =>
    ArrayBuffer.isView(part) ? Array.from(part as Float32Array) : part,
  );
}
