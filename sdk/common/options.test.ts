import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fakeAxis } from "../../testing/fakes/fake_axis.ts";
import { generate } from "../inference/generate.ts";
import { load } from "../inference/load.ts";
import { cap, collect, evaluate, fit, project } from "../science/index.ts";
import type { GenerateOptions, Model } from "../types.ts";
import { nearestName, number, type Rule, whole } from "./options.ts";

let model: Model;
beforeAll(async () => {
  model = await load("capstan-tiny", { device: "wasm" });
});
afterAll(() => model.dispose());

const reply = (options: object) => generate(model, "Hello", options as GenerateOptions);
const refusal = async (call: () => unknown) => {
  try {
    await call();
  } catch (error) {
    return String(error);
  }
  return "nothing";
};

describe("an unknown option is refused, with the nearest known one", () => {
  it.each([
    [{ max_new_tokens: 5 }, /found "max_new_tokens"\. Is max_tokens meant\?/],
    [{ temprature: 1 }, /Is temperature meant\?/],
    [{ topP: 1 }, /Is top_p meant\?/],
    [{ "top-k": 1 }, /Is top_k meant\?/],
    [{ stop_sequences: ["a"] }, /Is stop meant\?/],
    [{ hook: [] }, /Is hooks meant\?/],
    [{ zzz: 1 }, /found "zzz"\. Known are hooks, max_tokens, /],
    [{ constructor: 1 }, /found "constructor"/],
  ])("%o", async (options, message) => {
    expect(await refusal(() => reply(options))).toMatch(message);
  });

  it("in every call", async () => {
    const axis = fakeAxis(4);
    const x = { x: 1 } as never;
    const calls: Record<string, () => unknown> = {
      "load a model": () => load("capstan-tiny", { devcie: "wasm" } as never),
      forward: () => model.forward([1], { captures: [] } as never),
      "open a session": () => model.session(x),
      collect: () => collect(model, { role: "x" } as never),
      fit: () => fit("run", x),
      cap: () => cap(axis, x),
      project: () => project(model, [], { axis, ...(x as object) } as never),
      evaluate: () => evaluate(model, x),
      probe: () => axis.probes(x),
    };
    for (const [action, call] of Object.entries(calls)) {
      expect(await refusal(call)).toMatch(
        new RegExp(`^CapstanError: ${action}: need known options, found "`),
      );
    }
  });
});

describe("a value of the wrong kind is refused by its name", () => {
  it.each([
    [{ hooks: {} }, "hooks to be a list of hooks (of caps: caps.hooks), found {}"],
    [{ hooks: cap(fakeAxis(4), { layers: { start: 0, end: 1 } }) }, "caps.hooks), found a Caps"],
    [{ hooks: [null] }, "use hook 0: need a hook { kind, site, vector, ... }, found null"],
    [{ stop: 5 }, "stop to be a text or a list of texts, found 5"],
    [{ stop: ["a", 5] }, "stop to be"],
    [{ stop: [""] }, "stop strings of some characters"],
    [{ signal: {} }, "signal to be an AbortSignal, found {}"],
    [{ signal: new AbortController() }, "signal to be an AbortSignal, found a AbortController"],
    [{ seed: 1n }, "seed to be a whole number from 0, found 1"],
    [{ seed: -1 }, "seed to be"],
    [{ temperature: "1" }, 'temperature to be a number from 0 to 100, found "1"'],
    [{ temperature: Number.NaN }, "temperature to be a number from 0 to 100, found NaN"],
    [{ max_tokens: 0 }, "max_tokens to be a whole number from 1, found 0"],
    [{ max_tokens: 1.5 }, "max_tokens to be"],
    [{ logit_bias: new Map([[1, 2]]) }, "logit_bias to be an object, found a Map"],
    [{ logit_bias: { "": 1 } }, 'logit_bias to be by token ids from 0 to 1791, found ""'],
    [{ logit_bias: { " 1": 1 } }, "logit_bias to be by token ids"],
    [{ logit_bias: { "1e2": 1 } }, "logit_bias to be by token ids"],
    [{ logit_bias: { 1792: 1 } }, "logit_bias to be by token ids"],
    [{ logit_bias: { 1: Number.POSITIVE_INFINITY } }, "logit_bias to be numbers"],
    [{ logprobs: 101 }, "logprobs to be true or false or a whole number from 0 to 100"],
  ])("%o", async (options, message) => {
    expect(await refusal(() => reply(options))).toContain(message);
  });

  it.each([5, "max_tokens", [], new Map(), () => 1])("options that are none: %o", async (options) => {
    expect(await refusal(() => reply(options as object))).toContain("need options as an object, found ");
  });

  it("what is not a model, a run or an axis", async () => {
    expect(await refusal(() => collect("capstan-tiny" as never))).toContain(
      'need a model: what load gave, found "capstan-tiny". Load it first: await load("capstan-tiny").',
    );
    expect(await refusal(() => cap("axis.safetensors" as never))).toContain(
      'Read it first: await readAxis("axis.safetensors").',
    );
    expect(await refusal(() => fit({} as never))).toContain("need a run: what collect gave, or its folder");
    expect(await refusal(() => evaluate(model, { limit: 0 }))).toContain("limit to be a whole number from 1");
    expect(await refusal(() => load(null as never))).toContain("need a model's name, a folder, a URL or");
  });
});

describe("null and undefined count as left out", () => {
  it("everywhere", async () => {
    const options = { temperature: 0, max_tokens: 4 };
    const expected = (await reply(options).result).text;
    const nothing = {
      hooks: null,
      stop: undefined,
      seed: null,
      signal: null,
      logit_bias: null,
      logprobs: null,
    };
    expect((await reply({ ...options, ...nothing }).result).text).toBe(expected);
    expect((await generate(model, "Hello", null as never).result).finish_reason).toBeDefined();
    const { logits } = await model.forward([1, 2]);
    expect((await model.forward([1, 2], null as never)).logits).toEqual(logits);
    expect((await model.forward([1, 2], { hooks: null, capture: null, mean: null } as never)).logits).toEqual(
      logits,
    );
    await (await load("capstan-tiny", { device: null, n_ctx: null } as never)).dispose();
    const bare = { kind: "project", site: "blocks.0.hook_resid_post", vector: new Float32Array(192).fill(1) };
    const { projections } = await model.forward([1], { hooks: [{ ...bare, name: null }] } as never);
    expect(Object.keys(projections)).toEqual([bare.site]);
  });
});

describe("a logit bias", () => {
  const but = (...kept: number[]) =>
    Object.fromEntries(
      Array.from({ length: model.spec.d_vocab }, (_, id) => id)
        .filter((id) => !kept.includes(id))
        .map((id) => [id, Number.NEGATIVE_INFINITY]),
    );

  it("that forbids every token is refused", async () => {
    expect(await refusal(() => reply({ logit_bias: but() }))).toContain(
      'logit_bias to be such that a token is left, found "all of them forbidden"',
    );
  });

  it("that leaves one gives that one, at any temperature", async () => {
    for (const temperature of [0, 1, 50]) {
      const { tokens } = await reply({ temperature, max_tokens: 3, logit_bias: but(700), seed: 1 }).result;
      expect([...tokens]).toEqual([700, 700, 700]);
    }
  });
});

describe("readings", () => {
  const vector = Float32Array.from({ length: 192 }, (_, i) => Math.cos(i));
  const site = "blocks.3.hook_resid_post" as const;

  it("of one site are two series under two names", async () => {
    const other = Float32Array.from(vector, (x) => -2 * x);
    const hooks = [
      { kind: "project", site, vector },
      { kind: "project", site, vector: other },
    ] as const;
    const { projections } = await model.forward([5, 6, 7], { hooks });
    expect(Object.keys(projections)).toEqual([site, `${site}#2`]);
    expect(projections[`${site}#2` as never]).toEqual(Float32Array.from(projections[site]!, (x) => -x));
    const { projections: streamed } = await reply({ hooks, max_tokens: 3 }).result;
    expect(Object.keys(streamed)).toEqual([site, `${site}#2`]);
  });

  it("of a named cap are those before it, and what it did is counted", async () => {
    const options = { temperature: 0, max_tokens: 6, logit_bias: { 2: -99 } };
    const probe = { kind: "project", site, vector } as const;
    const free = await reply({ ...options, hooks: [probe] }).result;
    const floor = Math.max(...free.projections[site]!) + 1;
    const hooks = [{ kind: "cap", site, vector, floor, name: "held" }, probe] as const;
    const { projections, caps } = await reply({ ...options, hooks }).result;
    // The first token is drawn from a position that no cap had reached in this layer before.
    expect(projections.held![0]).toBeCloseTo(free.projections[site]![0]!, 3);
    for (const p of projections[site]!) expect(p).toBeCloseTo(floor, 3);
    const shifts = [...projections.held!].map((p) => floor - p);
    expect(caps.held).toMatchObject({ tokens: 6, touched: 6 });
    expect(caps.held!.max_shift).toBeCloseTo(Math.max(...shifts), 5);
    expect(caps.held!.mean_shift).toBeCloseTo(shifts.reduce((a, b) => a + b) / 6, 5);
    const idle = [{ kind: "cap", site, vector, floor: -1e6, name: "idle" }] as const;
    const { caps: none } = await reply({ ...options, hooks: idle }).result;
    expect(none).toEqual({ idle: { tokens: 6, touched: 0, mean_shift: 0, max_shift: 0 } });
  });
});

describe("a range", () => {
  it.each<[string, Rule, unknown[], unknown[]]>([
    ["numbers", number(-1, 2), [-1, 0, 0.5, 2], [-1.001, 2.001, Number.NaN, "1", null, 1n]],
    ["numbers without bounds", number(), [-1e300, 0, Infinity], [Number.NaN, "0"]],
    ["whole numbers", whole(1, 3), [1, 2, 3], [0, 4, 1.5, Number.NaN, "1"]],
    ["whole numbers without an end", whole(0), [0, 2 ** 53 - 1], [-1, 2 ** 53, Infinity]],
  ])("of %s holds both its ends, and nothing beyond", (_, { fits }, inside, outside) => {
    expect(inside.filter((value) => !fits(value))).toEqual([]);
    expect(outside.filter((value) => fits(value))).toEqual([]);
  });
});

describe("the nearest name", () => {
  it.each([
    ["temprature", "temperature"],
    ["seeds", "seed"],
    ["maxTokens", "max_tokens"],
    ["penalty", undefined],
    ["x", undefined],
    ["", undefined],
  ])("of %j is %j", (name, expected) => {
    const known = ["temperature", "seed", "max_tokens", "repetition_penalty", "hooks"];
    expect(nearestName(name, known)).toBe(expected);
  });
});
