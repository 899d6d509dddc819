import { describe, expect, it } from "vitest";
import { act, activate, erf, gatedAct } from "./act.ts";
import { attention, softmax } from "./attention.ts";
import { embed } from "./embed.ts";
import { experts, router } from "./experts.ts";
import { gather } from "./gather.ts";
import { kvAppend } from "./kv_append.ts";
import { logits } from "./logits.ts";
import { expectClose, floats, makeRun, weight } from "./make_run.ts";
import { product } from "./matmul.ts";
import { norm, normalise } from "./norm.ts";
import { residualAdd } from "./residual_add.ts";
import { rope, rotate } from "./rope.ts";

/** Expected values are worked out by hand in each test: no function of this folder computes them. */

const ROPE = {
  op: "rope",
  buffer: "qkv",
  rope: 0,
  layout: "half",
  norm: "rms",
  q_norm: null,
  k_norm: null,
  eps: 0,
  q_scale: null,
} as const;

const ATTENTION = {
  op: "attention",
  in: "qkv",
  out: "attn",
  layer: 0,
  n_heads: 1,
  scale: 1,
  softcap: null,
  window: null,
} as const;

describe("ops by hand", () => {
  it("embed looks rows up", () => {
    const run = makeRun([2, 0], { weights: [weight(3, 2, 1, 2, 3, 4, 5, 6)] });
    embed(run, { op: "embed", weight: 0, positions: null, scale: 1, out: "h", sites: [] });
    expect(run.buffers.h.map((row) => [...row])).toEqual([
      [5, 6],
      [1, 2],
    ]);
  });

  it("embed scales tokens and adds positions", () => {
    const weights = [weight(3, 2, 1, 2, 3, 4, 5, 6), weight(4, 2, 0, 0, 0, 0, 10, 20, 30, 40)];
    const run = makeRun([2, 0], { ask: { position: 2 }, weights });
    embed(run, { op: "embed", weight: 0, positions: 1, scale: 3, out: "h", sites: [] });
    expect(run.buffers.h.map((row) => [...row])).toEqual([
      [25, 38],
      [33, 46],
    ]);
  });

  it("norm divides by the root of the mean square", () => {
    const row = Float64Array.of(3, 4); // mean square 12.5
    normalise("rms", row, Float32Array.of(1, 2), null, 0);
    expectClose(row, [0.84852814, 2.2627417]);
    const small = Float64Array.of(0, 0.1); // mean square 0.005, eps 0.02
    normalise("rms", small, Float32Array.of(1, 1), null, 0.02);
    expectClose(small, [0, 0.63245553]);
  });

  it("norm of a layer takes the mean off first and adds its bias last", () => {
    const row = Float64Array.of(3, 7); // mean 5, variance 4
    normalise("layer", row, Float32Array.of(1, 2), Float32Array.of(10, 20), 0);
    expectClose(row, [9, 22]);
  });

  it("norm of columns leaves the others", () => {
    const run = makeRun([0], { weights: [weight(1, 2, 1, 1)] });
    run.buffers.qkv = floats([5, 6, 3, 4, 7, 8]);
    const columns = { start: 2, end: 4 };
    norm(run, { op: "norm", kind: "rms", in: "qkv", out: "qkv", columns, weight: 0, bias: null, eps: 0 });
    expectClose(run.buffers.qkv[0]!, [5, 6, 0.84852814, 1.13137085, 7, 8]);
  });

  it("matmul: rows are outputs, then the bias", () => {
    const w = weight(3, 2, 1, 2, 3, 4, 5, 6);
    expect([...product(w, Float64Array.of(10, 100), null)]).toEqual([210, 430, 650]);
    expect([...product(w, Float64Array.of(10, 100), Float32Array.of(1, 2, 3))]).toEqual([211, 432, 653]);
  });

  it("rope turns element j of the first half with element j of the second", () => {
    const spec = { d_rot: 4, inv_freq: Float64Array.of(Math.PI / 2, Math.PI), attention_factor: 1 };
    const head = Float64Array.of(1, 2, 3, 4, 9);
    rotate(head, spec, "half", 1); // (1, 3) by 90 degrees, (2, 4) by 180, the fifth stays
    expectClose(head, [-3, -2, 1, -4, 9]);
    const other = Float64Array.of(1, 2, 3, 4, 9);
    rotate(other, spec, "interleaved", 1); // (1, 2) by 90 degrees, (3, 4) by 180
    expectClose(other, [-2, 1, -3, -4, 9]);
  });

  it("rope rounds its angle to float32 and scales by the attention factor", () => {
    const inv = Math.fround(0.1);
    const head = Float64Array.of(1, 0);
    rotate(head, { d_rot: 2, inv_freq: Float64Array.of(inv), attention_factor: 2 }, "half", 1_000_003);
    const angle = 100000.3046875; // the float32 nearest to 100000.30149
    expectClose(head, [2 * Math.cos(angle), 2 * Math.sin(angle)]);
  });

  it("rope norms each head of q and k, and leaves v", () => {
    const run = makeRun([0, 0], { weights: [weight(1, 2, 1, 1), weight(1, 2, 2, 2)] });
    run.buffers.qkv = floats([3, 4, 3, 4, 7, 8], [3, 4, 3, 4, 7, 8]);
    rope(run, { ...ROPE, n_heads: 1, q_norm: 0, k_norm: 1 });
    expectClose(run.buffers.qkv[0]!, [0.84852814, 1.13137085, 1.69705627, 2.2627417, 7, 8]);
    // Position 1: a quarter turn takes (a, b) to (-b, a).
    expectClose(run.buffers.qkv[1]!, [-1.13137085, 0.84852814, -2.2627417, 1.69705627, 7, 8]);
  });

  it("rope scales q by how often its position passed a length, and leaves k and v", () => {
    const run = makeRun([0, 0], { ask: { position: 19 } });
    run.buffers.qkv = floats([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]);
    rope(run, { ...ROPE, n_heads: 1, rope: null, q_scale: { beta: 0.5, every: 10 } });
    // Position 19: 1 + ln(2) / 2; position 20: 1 + ln(3) / 2.
    expectClose(run.buffers.qkv[0]!, [1.34657359, 2.69314718, 3, 4, 5, 6]);
    expectClose(run.buffers.qkv[1]!, [1.54930614, 3.09861229, 3, 4, 5, 6]);
  });

  it("rope norms each head by its own part of a long weight", () => {
    const run = makeRun([0], { weights: [weight(1, 4, 1, 1, 2, 3)] });
    run.buffers.qkv = floats([3, 7, 1, 5, 9, 9, 9, 9]);
    rope(run, { ...ROPE, n_heads: 2, rope: null, norm: "layer", q_norm: 0 });
    expectClose(run.buffers.qkv[0]!, [-1, 1, -2, 3, 9, 9, 9, 9]);
  });

  it("attention mixes values by the softmax of scaled scores, causally", () => {
    const run = makeRun([0, 0]);
    // Rows q, k, v. Scores of row 1: q.k = 2 ln 3 * 0.5 = ln 3 for position 0, 0 for itself: weights 3/4, 1/4.
    const ln3 = Math.log(3);
    run.buffers.qkv = floats([1, 0, 2, 0, 10, 20], [ln3, 0, 0, 5, 30, 40]);
    kvAppend(run, { op: "kv_append", in: "qkv", layer: 0 });
    attention(run, { ...ATTENTION, scale: 0.5 });
    expectClose(run.buffers.attn[0]!, [10, 20]);
    expectClose(run.buffers.attn[1]!, [15, 25]);
    attention(run, { ...ATTENTION, scale: 0.5, window: 1 });
    expectClose(run.buffers.attn[1]!, [30, 40]);
    // A score of 2 artanh(1/2) = ln 3 is capped to 1, and 0 stays 0.
    attention(run, { ...ATTENTION, scale: 0.5, softcap: 2 });
    const share = Math.exp(2 * Math.tanh(ln3 / 2)) / (1 + Math.exp(2 * Math.tanh(ln3 / 2)));
    expect(2 * Math.tanh(ln3 / 2)).toBeCloseTo(1, 12);
    expectClose(run.buffers.attn[1]!, [10 * share + 30 * (1 - share), 20 * share + 40 * (1 - share)]);
  });

  it("attention gives consecutive query heads the same key-value head", () => {
    const run = makeRun([0], { program: { n_kv_heads: 2, d_head: 1 } });
    run.buffers.qkv = floats([1, 1, 1, 1, /* k */ 1, 1, /* v */ 5, 6]);
    kvAppend(run, { op: "kv_append", in: "qkv", layer: 0 });
    attention(run, { ...ATTENTION, n_heads: 4 });
    expect([...run.buffers.attn[0]!]).toEqual([5, 5, 6, 6]);
  });

  it("softmax stands large scores", () => {
    expectClose(softmax([1000, 1000 + Math.log(3)]), [0.25, 0.75]);
  });

  it("gated_act: the first half is the gate", () => {
    expect(activate("silu", 1)).toBeCloseTo(0.7310585786300049, 12);
    expect(activate("silu", -2)).toBeCloseTo(-0.2384058440442351, 12);
    expect([-3, -0, 0.5, 3].map((x) => activate("relu", x))).toEqual([0, 0, 0.5, 3]);
    expect([-3, 0, 0.5, 3].map((x) => activate("relu2", x))).toEqual([0, 0, 0.25, 9]);
    expect(activate("gelu_tanh", 1)).toBeCloseTo(0.8411919906082768, 12);
    const run = makeRun([0]);
    run.buffers.gate_up = floats([1, -2, 10, 100]);
    gatedAct(run, { op: "gated_act", in: "gate_up", out: "act", activation: "silu" });
    expectClose(run.buffers.act[0]!, [7.310585786, -23.840584404]);
  });

  it("act takes every element", () => {
    const run = makeRun([0]);
    run.buffers.gate_up = floats([1, -2]);
    act(run, { op: "act", in: "gate_up", out: "act", activation: "gelu" });
    expectClose(run.buffers.act[0]!, [0.8413447460685429, -0.04550026389635842]); // x Phi(x)
    expect(erf(0.5)).toBeCloseTo(0.5204998778130465, 15);
    expect(erf(3)).toBeCloseTo(0.9999779095030014, 15);
    expect([erf(0), erf(40), erf(-40)]).toEqual([0, 1, -1]);
  });

  it("router keeps the likeliest experts, the lower one on a tie, and experts mixes them", () => {
    // Logits 0, ln 6, ln 3, ln 6: shares 1, 6, 3, 6 of 16.
    const [ln6, ln3] = [Math.log(6), Math.log(3)];
    const gate_up = [1, 2, 3, 4].flatMap((e) => [1, 0, 0, e]); // gate reads x0, up e * x1
    const down = [1, 2, 3, 4].flatMap((e) => [1, 10 * e]);
    const weights = [
      weight(4, 2, 0, 0, ln6, 0, ln3, 0, ln6, 0),
      weight(2, 2, ...gate_up),
      weight(2, 1, ...down),
    ];
    const run = makeRun([0], { weights });
    run.buffers.x = floats([1, 1]);
    const route = { op: "router", in: "x", out: "routes", weight: 0, top_k: 2 } as const;
    router(run, { ...route, renormalise: false });
    expectClose(run.buffers.routes[0]!, [1, 3, 6 / 16, 6 / 16]);
    router(run, { ...route, renormalise: true });
    expectClose(run.buffers.routes[0]!, [1, 3, 0.5, 0.5]);
    const silu = 0.7310585786300049; // of 1
    experts(run, {
      op: "experts",
      in: "x",
      routes: "routes",
      out: "delta",
      gate_up: 1,
      down: 2,
      top_k: 2,
      activation: "silu",
    });
    expectClose(run.buffers.delta[0]!, [(silu * (2 + 4)) / 2, (silu * (2 * 20 + 4 * 40)) / 2]);
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
    run.buffers.delta = floats([4, 2]);
    residualAdd(run, { op: "residual_add", in: "delta", into: "h", scale: 0.5, in_site: 1, sites: [2] });
    expect([...run.buffers.h[0]!]).toEqual([4, 6]);
    const { captures, projections } = run.entries[0]!.result;
    expect(captures.map((capture) => [...capture])).toEqual([
      [2, 1],
      [4, 6],
    ]);
    expect([...projections]).toEqual([4]);
  });

  it("gather keeps the rows asked for, logits multiply them", () => {
    const weights = [weight(3, 2, 1, 0, 0, 1, 1, 1), weight(1, 3, 10, 20, 30)];
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
      const names = { op: "logits", in: "x", out: "logits" } as const;
      const op = { ...names, weight: 0, bias: null, scale: 1, softcap: null };
      logits(run, op);
      if (rows > 0) expect([...run.buffers.logits.at(-1)!]).toEqual([3, 4, 7]);
      logits(run, { ...op, scale: 2, softcap: 10 });
      if (rows > 0)
        expectClose(
          run.buffers.logits.at(-1)!,
          [6, 8, 14].map((x) => 10 * Math.tanh(x / 10)),
        );
      logits(run, { ...op, bias: 1, scale: 0.5 });
      if (rows > 0) expect([...run.buffers.logits.at(-1)!]).toEqual([6.5, 12, 18.5]);
    }
  });
});
