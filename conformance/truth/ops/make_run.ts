import { expect } from "vitest";
import type { DeviceHook, Program, RopeSpec, StepEntry } from "../../../models/index.ts";
import { stepEntry } from "../../contract/entry.ts";
import { Cache } from "../cache.ts";
import { beginRun, type StepRun } from "../run.ts";
import type { Weight } from "../weights.ts";

/** What the tests of the ops share: a run made by hand. */

const program: Program = {
  d_model: 2,
  d_vocab: 3,
  n_layers: 1,
  n_kv_heads: 1,
  d_head: 2,
  buffers: { h: 2, x: 2, qkv: 6, attn: 2, gate_up: 4, act: 2, routes: 4, delta: 2, last: 2, logits: 3 },
  weights: [],
  ropes: [2],
  ops: [],
};

const quarter: RopeSpec = { d_rot: 2, inv_freq: Float64Array.of(Math.PI / 2), attention_factor: 1 };

export function weight(rows: number, cols: number, ...data: number[]): Weight {
  return { rows, cols, data: Float32Array.from(data) };
}

/** A run of one entry with these tokens. */
export function makeRun(
  tokens: number[],
  changes: {
    program?: Partial<Program>;
    ask?: Partial<StepEntry>;
    weights?: Weight[];
    hooks?: DeviceHook[];
  } = {},
): StepRun {
  const shape = { ...program, ...changes.program };
  const cache = new Cache(shape, 2, 8);
  const blocks = Int32Array.from(cache.alloc(2));
  const ask = stepEntry({ tokens: Int32Array.from(tokens), blocks, logits: "all", ...changes.ask });
  const weights = changes.weights ?? [];
  const on = { program: shape, weights, ropes: [quarter], cache, accumulators: new Map() };
  return beginRun(on, [{ ask, hooks: changes.hooks ?? [] }]);
}

export function floats(...rows: number[][]): Float64Array[] {
  return rows.map((row) => Float64Array.from(row));
}

export function expectClose(got: ArrayLike<number>, expected: number[]): void {
  expect(got.length).toBe(expected.length);
  for (const [i, x] of expected.entries()) expect(got[i]).toBeCloseTo(x, 6);
}
