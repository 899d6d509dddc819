import { describe, expect, it } from "vitest";
import type { DeviceHook, Program, RopeSpec, StepEntry } from "../../../models/index.ts";
import { GREEDY, sampling } from "../../contract/params.ts";
import { Cache } from "../cache.ts";
import type { EntryRun, Row, Run } from "../run.ts";
import type { Weight } from "../weights.ts";
import { attention, softmax } from "./attention.ts";
import { embed } from "./embed.ts";
import { activate, gatedAct } from "./gated_act.ts";
import { gather } from "./gather.ts";
import { kvAppend } from "./kv_append.ts";
import { logits } from "./logits.ts";
import { product } from "./matmul.ts";
import { rmsNorm } from "./norm.ts";
import { residualAdd } from "./residual_add.ts";
import { rope, rotate } from "./rope.ts";
import { distribution, drawToken, penalise, sample, uniform } from "./sample.ts";
import { applyHook } from "./sites.ts";

/** Expected values are worked out by hand in each test: no function of this room computes them. */

const program: Program = {
  d_model: 2,
  d_vocab: 3,
  n_layers: 1,
  n_kv_heads: 1,
  d_head: 2,
  buffers: { h: 2, x: 2, qkv: 6, attn: 2, gate_up: 4, act: 2, delta: 2, last: 2, logits: 3 },
  weights: [],
  ropes: [2],
  ops: [],
};

const quarter: RopeSpec = { d_rot: 2, inv_freq: Float64Array.of(Math.PI / 2), attention_factor: 1 };

function weight(rows: number, cols: number, ...data: number[]): Weight {
  return { rows, cols, data: Float32Array.from(data) };
}

/** A run of one entry with these tokens. */
function makeRun(
  tokens: number[],
  changes: {
    program?: Partial<Program>;
    ask?: Partial<StepEntry>;
    weights?: Weight[];
    hooks?: DeviceHook[];
  } = {},
): Run {
  const shape = { ...program, ...changes.program };
  const cache = new Cache(shape, 2, 8);
  const ask: StepEntry = {
    tokens: Int32Array.from(tokens),
    follows: null,
    position: 0,
    blocks: Int32Array.from(cache.alloc(2)),
    hooks: 0,
    ends_call: true,
    sample: null,
    logits: "all",
    captures: [],
    accumulate: [],
    ...changes.ask,
  };
  const entry: EntryRun = {
    ask,
    hooks: changes.hooks ?? [],
    result: {
      non_finite: null,
      token: -1,
      logprobs: null,
      logits: new Float32Array(tokens.length * shape.d_vocab),
      captures: ask.captures.map(() => new Float32Array(tokens.length * shape.d_model)),
      projections: new Float32Array(tokens.length),
    },
  };
  const rows = tokens.map((token, index): Row => {
    const ends_call = ask.ends_call && index === tokens.length - 1;
    return { entry, index, token, position: ask.position + index, ends_call };
  });
  const buffers = { h: [], x: [], qkv: [], attn: [], gate_up: [], act: [], delta: [], last: [], logits: [] };
  const weights = changes.weights ?? [];
  const ropes = [quarter];
  return {
    program: shape,
    weights,
    ropes,
    cache,
    accumulators: new Map(),
    entries: [entry],
    rows,
    gathered: [],
    buffers,
  };
}

function floats(...rows: number[][]): Float64Array[] {
  return rows.map((row) => Float64Array.from(row));
}

function expectClose(got: ArrayLike<number>, expected: number[]): void {
  expect(got.length).toBe(expected.length);
  for (const [i, x] of expected.entries()) expect(got[i]).toBeCloseTo(x, 6);
}

describe("ops by hand", () => {
  it("embed looks rows up", () => {
    const run = makeRun([2, 0], { weights: [weight(3, 2, 1, 2, 3, 4, 5, 6)] });
    embed(run, { op: "embed", weight: 0, out: "h", sites: [] });
    expect(run.buffers.h.map((row) => [...row])).toEqual([
      [5, 6],
      [1, 2],
    ]);
  });

  it("norm divides by the root of the mean square", () => {
    const row = Float64Array.of(3, 4); // mean square 12.5
    rmsNorm(row, Float32Array.of(1, 2), 0);
    expectClose(row, [0.84852814, 2.2627417]);
    const small = Float64Array.of(0, 0.1); // mean square 0.005, eps 0.02
    rmsNorm(small, Float32Array.of(1, 1), 0.02);
    expectClose(small, [0, 0.63245553]);
  });

  it("matmul: rows are outputs, then the bias", () => {
    const w = weight(3, 2, 1, 2, 3, 4, 5, 6);
    expect([...product(w, Float64Array.of(10, 100), null)]).toEqual([210, 430, 650]);
    expect([...product(w, Float64Array.of(10, 100), Float32Array.of(1, 2, 3))]).toEqual([211, 432, 653]);
  });

  it("rope turns element j of the first half with element j of the second", () => {
    const spec = { d_rot: 4, inv_freq: Float64Array.of(Math.PI / 2, Math.PI), attention_factor: 1 };
    const head = Float64Array.of(1, 2, 3, 4, 9);
    rotate(head, spec, 1); // (1, 3) by 90 degrees, (2, 4) by 180, the fifth stays
    expectClose(head, [-3, -2, 1, -4, 9]);
  });

  it("rope rounds its angle to float32 and scales by the attention factor", () => {
    const inv = Math.fround(0.1);
    const head = Float64Array.of(1, 0);
    rotate(head, { d_rot: 2, inv_freq: Float64Array.of(inv), attention_factor: 2 }, 1_000_003);
    const angle = 100000.3046875; // the float32 nearest to 100000.30149
    expectClose(head, [2 * Math.cos(angle), 2 * Math.sin(angle)]);
  });

  it("rope norms each head of q and k, and leaves v", () => {
    const run = makeRun([0, 0], { weights: [weight(1, 2, 1, 1), weight(1, 2, 2, 2)] });
    run.buffers.qkv = floats([3, 4, 3, 4, 7, 8], [3, 4, 3, 4, 7, 8]);
    rope(run, { op: "rope", buffer: "qkv", n_heads: 1, rope: 0, q_norm: 0, k_norm: 1, eps: 0 });
    expectClose(run.buffers.qkv[0]!, [0.84852814, 1.13137085, 1.69705627, 2.2627417, 7, 8]);
    // Position 1: a quarter turn takes (a, b) to (-b, a).
    expectClose(run.buffers.qkv[1]!, [-1.13137085, 0.84852814, -2.2627417, 1.69705627, 7, 8]);
  });

  it("attention mixes values by the softmax of scaled scores, causally", () => {
    const run = makeRun([0, 0]);
    // Rows q, k, v. Scores of row 1: q.k = 2 ln 3 * 0.5 = ln 3 for position 0, 0 for itself: weights 3/4, 1/4.
    const ln3 = Math.log(3);
    run.buffers.qkv = floats([1, 0, 2, 0, 10, 20], [ln3, 0, 0, 5, 30, 40]);
    kvAppend(run, { op: "kv_append", in: "qkv", layer: 0 });
    attention(run, {
      op: "attention",
      in: "qkv",
      out: "attn",
      layer: 0,
      n_heads: 1,
      scale: 0.5,
      window: null,
    });
    expectClose(run.buffers.attn[0]!, [10, 20]);
    expectClose(run.buffers.attn[1]!, [15, 25]);
    attention(run, { op: "attention", in: "qkv", out: "attn", layer: 0, n_heads: 1, scale: 0.5, window: 1 });
    expectClose(run.buffers.attn[1]!, [30, 40]);
  });

  it("attention gives consecutive query heads the same key-value head", () => {
    const run = makeRun([0], { program: { n_kv_heads: 2, d_head: 1 } });
    run.buffers.qkv = floats([1, 1, 1, 1, /* k */ 1, 1, /* v */ 5, 6]);
    kvAppend(run, { op: "kv_append", in: "qkv", layer: 0 });
    attention(run, { op: "attention", in: "qkv", out: "attn", layer: 0, n_heads: 4, scale: 1, window: null });
    expect([...run.buffers.attn[0]!]).toEqual([5, 5, 6, 6]);
  });

  it("softmax stands large scores", () => {
    expectClose(softmax([1000, 1000 + Math.log(3)]), [0.25, 0.75]);
  });

  it("gated_act: the first half is the gate", () => {
    expect(activate("silu", 1)).toBeCloseTo(0.7310585786300049, 12);
    expect(activate("silu", -2)).toBeCloseTo(-0.2384058440442351, 12);
    expect(activate("gelu_tanh", 1)).toBeCloseTo(0.8411919906082768, 12);
    const run = makeRun([0]);
    run.buffers.gate_up = floats([1, -2, 10, 100]);
    gatedAct(run, { op: "gated_act", in: "gate_up", out: "act", activation: "silu" });
    expectClose(run.buffers.act[0]!, [7.310585786, -23.840584404]);
  });

  it("residual_add reads delta, adds, hooks, then captures", () => {
    const direction = Float32Array.of(1, 0);
    const run = makeRun([0], {
      ask: { captures: [1, 2] },
      hooks: [
        { op: "clamp", site: 2, positions: "all", direction, floor: -1, ceiling: 4 },
        { op: "project", site: 2, direction, output: 0 },
      ],
    });
    run.buffers.h = floats([3, 5]);
    run.buffers.delta = floats([2, 1]);
    residualAdd(run, { op: "residual_add", in: "delta", into: "h", in_site: 1, sites: [2] });
    expect([...run.buffers.h[0]!]).toEqual([4, 6]);
    const { captures, projections } = run.entries[0]!.result;
    expect(captures.map((capture) => [...capture])).toEqual([
      [2, 1],
      [4, 6],
    ]);
    expect([...projections]).toEqual([4]);
  });

  it("gather keeps the rows asked for, logits multiply them", () => {
    const weights = [weight(3, 2, 1, 0, 0, 1, 1, 1)];
    for (const [wanted, rows] of [
      ["all", 2],
      ["last", 1],
      ["none", 0],
    ] as const) {
      const run = makeRun([0, 0], { ask: { logits: wanted }, weights });
      run.buffers.h = floats([1, 2], [3, 4]);
      gather(run, { op: "gather", in: "h", out: "last" });
      expect(run.buffers.last.length).toBe(rows);
      run.buffers.x = run.buffers.last;
      logits(run, { op: "logits", in: "x", out: "logits", weight: 0 });
      if (rows > 0) expect([...run.buffers.logits.at(-1)!]).toEqual([3, 4, 7]);
    }
  });
});

describe("hooks by hand, on h = (3, 4)", () => {
  const along = Float32Array.of(0.6, 0.8); // p = 5
  const all = { site: 0, positions: "all" } as const;
  it.each<[string, DeviceHook, number[]]>([
    ["floor below p", { op: "clamp", ...all, direction: along, floor: 4, ceiling: Infinity }, [3, 4]],
    ["floor above p", { op: "clamp", ...all, direction: along, floor: 10, ceiling: Infinity }, [6, 8]],
    ["ceiling below p", { op: "clamp", ...all, direction: along, floor: -Infinity, ceiling: 2.5 }, [1.5, 2]],
    ["shift", { op: "shift", ...all, delta: Float32Array.of(1, -1) }, [4, 3]],
    ["remove", { op: "remove", ...all, direction: along, delta: null }, [0, 0]],
    ["remove and add", { op: "remove", ...all, direction: along, delta: Float32Array.of(1, 2) }, [1, 2]],
  ])("%s", (_, hook, expected) => {
    const h = Float64Array.of(3, 4);
    applyHook(hook, makeRun([0]).rows[0]!, h);
    for (const [i, x] of expected.entries()) expect(h[i]).toBeCloseTo(x, 5);
  });

  it("positions last acts on the last row of a call that ends", () => {
    const hook: DeviceHook = { op: "shift", site: 0, positions: "last", delta: Float32Array.of(1, 1) };
    const moved = (ends_call: boolean) =>
      makeRun([0, 0], { ask: { ends_call } }).rows.map((row) => {
        const h = Float64Array.of(0, 0);
        applyHook(hook, row, h);
        return h[0];
      });
    expect(moved(true)).toEqual([0, 1]);
    expect(moved(false)).toEqual([0, 0]);
  });
});

describe("sampling by hand", () => {
  it("penalties and bias", () => {
    const params = sampling({
      history: Int32Array.of(0, 1, 1, 2),
      n_prompt: 1,
      repetition_penalty: 2,
      frequency_penalty: 0.25,
      presence_penalty: 0.5,
      logit_bias: [{ id: 3, bias: 7 }],
    });
    // 0: 4 / 2, prompt only. 1: -1 * 2 - 2 * 0.25 - 0.5. 2: 6 / 2 - 0.25 - 0.5. 3: 1 + 7.
    expect([...penalise(Float64Array.of(4, -1, 6, 1), params)]).toEqual([2, -3, 2.25, 8]);
  });

  it("the kept distribution", () => {
    const scores = Float64Array.from([1, 2, 3, 4], Math.log);
    expect(distribution(scores, sampling()).ids).toEqual([3, 2, 1, 0]);
    expectClose(distribution(scores, sampling()).probs, [0.4, 0.3, 0.2, 0.1]);
    expectClose(distribution(scores, sampling({ top_k: 2 })).probs, [4 / 7, 3 / 7]);
    expectClose(distribution(scores, sampling({ temperature: 0.5 })).probs, [
      16 / 30,
      9 / 30,
      4 / 30,
      1 / 30,
    ]);
    expectClose(distribution(scores, sampling({ top_p: 0.7 })).probs, [4 / 7, 3 / 7]);
    expectClose(distribution(scores, sampling({ min_p: 0.6 })).probs, [4 / 7, 3 / 7]);
  });

  it("greedy takes the lowest id of a tie", () => {
    expect(drawToken(Float64Array.of(1, 5, 5, 0), GREEDY)).toBe(1);
  });

  it("uniform is SplitMix64's finaliser: fixed, even, and moved by every input", () => {
    const many = Array.from({ length: 20_000 }, (_, draw) => uniform([7, 9], draw));
    const mean = many.reduce((a, b) => a + b) / many.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.01);
    expect(many.every((u) => u >= 0 && u < 1)).toBe(true);
    const inputs: [[number, number], number][] = [
      [[7, 9], 0],
      [[8, 9], 0],
      [[7, 10], 0],
      [[7, 9], 1],
    ];
    expect(new Set(inputs.map(([seed, draw]) => uniform(seed, draw))).size).toBe(4);
    expect(uniform([7, 9], 3)).toBe(many[3]);
  });

  it("log-probabilities are of the model's own distribution", () => {
    const params = { ...GREEDY, top_logprobs: 2, logit_bias: [{ id: 0, bias: 100 }] };
    const run = makeRun([0], { ask: { sample: params } });
    run.gathered = [...run.rows];
    run.buffers.logits = [Float64Array.from([1, 2, 5], Math.log)];
    sample(run, { op: "sample", in: "logits" });
    const { token, logprobs } = run.entries[0]!.result;
    expect(token).toBe(0);
    expect(logprobs?.token).toBeCloseTo(Math.log(1 / 8), 12);
    expect(logprobs?.top.map(({ id }) => id)).toEqual([2, 1]);
    expect(logprobs?.top[0]?.logprob).toBeCloseTo(Math.log(5 / 8), 12);
  });
});
