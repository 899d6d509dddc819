import { join } from "node:path";
import { present } from "../../models/certain.ts";
import { type Hook, planHooks } from "../../models/index.ts";
import type { Model } from "../../sdk/index.ts";
import { type Axis, cap, collect, drift, evaluate, fit, generate, load, project } from "../../sdk/index.ts";
import type { Random } from "./mutate.ts";

/** Calls of the SDK with random options, some right, some not: each works, or ends in one clear error. */

type Value = (random: Random) => unknown;

/** What callers give by mistake. */
const WRONG: readonly Value[] = [
  () => undefined,
  () => null,
  () => true,
  () => Number.NaN,
  () => Number.POSITIVE_INFINITY,
  () => Number.NEGATIVE_INFINITY,
  () => -0,
  (random) => random.pick([-1, 0, 1, 0.5, 2 ** 31, 2 ** 53, 1e300, -1e300]),
  () => 7n,
  () => 2n ** 70n,
  () => Symbol("x"),
  () => "",
  () => "7",
  () => "\ud800",
  (random) => "x".repeat(random.pick([100, 10_000])),
  () => [],
  () => {
    const list: unknown[] = [null];
    list.length = 5;
    return list;
  },
  () => ({}),
  () => Object.create(null),
  () => new Map([[1, 2]]),
  () => new Set([1]),
  () => new Date(0),
  () => /x/,
  () => new Error("x"),
  () => Promise.resolve(1),
  () => () => 1,
  () => class {},
  () => new Float32Array(3),
  () => new Float64Array(192),
  () => new DataView(new ArrayBuffer(8)),
  () => new ArrayBuffer(8),
  () => new URL("http://127.0.0.1:9/"),
  () => new AbortController(),
  () => ({ kind: "cap", hooks: [] }),
  () => ({ start: 1, end: 3 }),
  () => {
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    return circle;
  },
];

const direction = (random: Random) => Float32Array.from({ length: 192 }, () => random.next() - 0.5);
const site = (random: Random) =>
  `blocks.${random.below(9)}.${random.pick(["hook_resid_pre", "hook_resid_mid", "hook_resid_post", "hook_attn_out", "hook_mlp_out"])}`;
const hook: Value = (random) =>
  shuffled(
    {
      kind: (r) => r.pick(["cap", "add", "ablate", "mean_ablate", "project"]),
      site,
      vector: direction,
      floor: (r) => r.pick([-1, 0, 2]),
      ceiling: (r) => r.pick([2, 5]),
      coefficient: (r) => r.pick([0, 1, -2]),
      mean: direction,
      positions: (r) => r.pick(["all", "last"]),
      name: (r) => r.pick(["a", "b"]),
    },
    random,
    0.55,
  );

const OPTIONS: Record<string, Value> = {
  hooks: (random) => Array.from({ length: random.below(4) }, () => hook(random)),
  max_tokens: (random) => 1 + random.below(5),
  temperature: (random) => random.pick([0, 0.5, 1, 3]),
  top_k: (random) => random.below(50),
  top_p: (random) => random.next(),
  min_p: (random) => random.next(),
  repetition_penalty: (random) => 0.5 + random.next(),
  frequency_penalty: (random) => random.next(),
  presence_penalty: (random) => random.next(),
  logit_bias: (random) => ({ [random.below(2000)]: random.pick([-5, 5, Number.NEGATIVE_INFINITY, 1e9]) }),
  seed: (random) => random.below(1000),
  stop: (random) => random.pick<unknown>([" ", ["e", "th"], ["", "a"], "\u0000"]),
  logprobs: (random) => random.pick<unknown>([true, false, 3, 101]),
  mean: () => ["blocks.3.hook_resid_post"],
  queue: (random) => random.pick(["wait", "refuse"]),
  client: (random) => random.pick(["a", "b", ""]),
  template_args: (random) => ({ add_generation_prompt: random.chance(0.5), x: 1 }),
  capture: (random) => [random.pick(["blocks.*.hook_resid_post", "blocks.1.*", "*", "blocks.99.*", "("])],
  logits: (random) => random.pick(["none", "last", "all"]),
  signal: (random) => (random.chance(0.5) ? AbortSignal.abort() : new AbortController().signal),
  layers: (random) => ({ start: random.below(9), end: random.below(9) }),
  percentile: (random) => random.below(120) - 10,
  tau: (random) => random.pick<unknown>([1, -3, [1, 2]]),
  axis: () => undefined,
  layer: (random) => random.below(9),
  threshold: (random) => random.next(),
  n_ctx: (random) => random.pick([1, 16, 100]),
  device: (random) => random.pick(["auto", "wasm", "truth"]),
  dtype: (random) => random.pick(["auto", "f32", "f16", "bf16", "q8"]),
  threads: (random) => random.pick([1, 2]),
  max_queue: (random) => random.below(3),
};
const NAMES = [
  ...Object.keys(OPTIONS),
  "max_new_tokens",
  "temprature",
  "devcie",
  "captures",
  "role",
  "__proto__",
];

/** Some fields of an object, each right for the most part. */
function shuffled(fields: Record<string, Value>, random: Random, share: number): Record<string, unknown> {
  const made: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (random.chance(share)) made[name] = random.chance(0.85) ? value(random) : random.pick(WRONG)(random);
  }
  return made;
}

function options(random: Random, likely: readonly string[]): never {
  if (random.chance(0.04)) return random.pick(WRONG)(random) as never;
  const made: Record<string, unknown> = {};
  for (let n = random.below(5); n > 0; n--) {
    const name = random.chance(0.9) ? random.pick(likely) : random.pick(NAMES);
    const value = (Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined) ?? random.pick(WRONG);
    const given = random.chance(0.8) ? value(random) : random.pick(WRONG)(random);
    Object.defineProperty(made, name, { value: given, enumerable: true, configurable: true, writable: true });
  }
  return made as never;
}

const tokens: Value = (random) =>
  random.chance(0.8)
    ? Array.from({ length: 1 + random.below(20) }, () => (random.chance(0.98) ? random.below(1700) : -1))
    : random.pick(WRONG)(random);
const messages: Value = (random) =>
  Array.from({ length: 1 + random.below(3) }, () =>
    random.chance(0.9)
      ? {
          role: random.pick(["user", "system", "assistant", "tool", ""]),
          content: random.pick(["hi", "", "é<s>"]),
        }
      : random.pick(WRONG)(random),
  );

const SAMPLING = Object.keys(OPTIONS).slice(0, 17).concat("signal");

interface Loaded {
  model: Model;
  axis: Axis;
}
let loaded: Promise<Loaded> | undefined;

async function loadOnce(): Promise<Loaded> {
  const model = await load(join(import.meta.dirname, "..", "..", "models", "capstan-tiny"), {
    device: "wasm",
  });
  const run = await collect(model, { limit: 1, max_tokens: 4, judge: () => 3 });
  return { model, axis: await fit(run, { min_count: 1 }) };
}

const CALLS: Record<string, (loaded: Loaded, random: Random) => Promise<unknown>> = {
  async generate({ model }, random) {
    const prompt = random.pick<Value>([tokens, messages, () => "Hello there"])(random);
    const reply = generate(model, prompt as never, {
      max_tokens: 3,
      ...(options(random, SAMPLING) as object),
    });
    if (random.chance(0.3)) for await (const _ of reply) break;
    return await reply.result;
  },
  forward: ({ model }, random) =>
    model.forward(
      tokens(random) as never,
      options(random, ["hooks", "capture", "logits", "signal", "mean", "queue", "client"]),
    ),
  async session({ model }, random) {
    await using session = await model.session(options(random, ["hooks"]));
    const calls = Array.from({ length: random.below(4) }, () =>
      random.chance(0.7)
        ? session.forward(tokens(random) as never, options(random, ["capture", "logits", "signal"]))
        : (async () => session.truncate(random.pick([0, 1, 3, -1, 0.5])))(),
    );
    for (const settled of await Promise.allSettled(calls))
      if (settled.status === "rejected") throw settled.reason;
    return undefined;
  },
  hooks: async ({ model }, random) =>
    planHooks(model.spec, present(OPTIONS.hooks, "random hooks")(random) as Hook[]),
  cap: async ({ axis }, random) => cap(axis, options(random, ["layers", "percentile", "tau"])),
  project: ({ model, axis }, random) => {
    const asked = options(random, ["layer", "threshold", "hooks", "signal"]);
    return project(model, messages(random) as never, { axis, ...(asked as object) });
  },
  drift: ({ model, axis }, random) => {
    const asked = options(random, ["layer", "temperature", "seed", "signal"]);
    const script = random.chance(0.8) ? { name: "x", turns: ["hi"] } : random.pick(WRONG)(random);
    return drift(model, script as never, { axis, max_tokens: 2, ...(asked as object) });
  },
  load: async (_, random) => {
    const source = random.chance(0.5) ? "capstan-tiny" : random.pick(WRONG)(random);
    const model = await load(
      source as never,
      options(random, ["device", "dtype", "n_ctx", "threads", "max_queue", "signal"]),
    );
    await model.dispose();
  },
  "wrong first arguments": async ({ model, axis }, random) => {
    const wrong = () => random.pick(WRONG)(random) as never;
    const calls: (() => unknown)[] = [
      () => generate(wrong(), "x"),
      () => generate(model, wrong()).result,
      () => collect(wrong()),
      () => fit(wrong()),
      () => cap(wrong()),
      () => project(wrong(), [], { axis }),
      () => project(model, wrong(), { axis }),
      () => evaluate(wrong()),
      () => model.session(wrong()).then((session) => session.dispose()),
      () => model.encodeChat(wrong()),
      () => model.tokenizer.encode(wrong()),
      () => model.tokenizer.encode("x", wrong()),
      () => model.tokenizer.decode(wrong()),
      () => model.tokenizer.decode([1], wrong()),
    ];
    return await random.pick(calls)();
  },
};

/** Runs one call drawn from a seed. @throws what it throws */
export async function runCall(random: Random): Promise<void> {
  loaded ??= loadOnce();
  const name = random.pick(Object.keys(CALLS));
  await present(CALLS[name], name)(await loaded, random);
}
