import type { Op } from "../../../models/index.ts";
import type { Run } from "../run.ts";

/** out = in / sqrt(mean(in^2) + eps) * weight */
export function norm(run: Run, op: Extract<Op, { op: "norm" }>): void {
  const { data } = run.weights[op.weight]!;
  run.buffers[op.out] = run.buffers[op.in].map((row) => {
    const out = Float64Array.from(row);
    rmsNorm(out, data, op.eps);
    return out;
  });
}

/** In place. `values` and `weight` have equal length. */
export function rmsNorm(values: Float64Array, weight: Float32Array, eps: number): void {
  let squares = 0;
  for (const x of values) squares += x * x;
  const scale = 1 / Math.sqrt(squares / values.length + eps);
  for (let i = 0; i < values.length; i++) values[i] = values[i]! * scale * weight[i]!;
}
