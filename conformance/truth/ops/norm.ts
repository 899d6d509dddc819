import { itemAt } from "../../../models/certain.ts";
import type { NormKind, Op } from "../../../models/index.ts";
import type { StepRun } from "../run.ts";

/** out = weight * in / sqrt(mean(in^2) + eps) + bias, or of in - mean(in); over some columns, or whole rows. */
export function norm(run: StepRun, op: Extract<Op, { op: "norm" }>): void {
  const weight = itemAt(run.weights, op.weight).data;
  const bias = op.bias === null ? null : itemAt(run.weights, op.bias).data;
  run.buffers[op.out] = run.buffers[op.in].map((row) => {
    const out = Float64Array.from(row);
    const { start, end } = op.columns ?? { start: 0, end: row.length };
    normalise(op.kind, out.subarray(start, end), weight, bias, op.eps);
    return out;
  });
}

/** In place. `values`, `weight` and `bias` have equal length. */
export function normalise(
  kind: NormKind,
  values: Float64Array,
  weight: Float32Array,
  bias: Float32Array | null,
  eps: number,
): void {
  const mean = kind === "layer" ? values.reduce((a, b) => a + b, 0) / values.length : 0;
  const squares = values.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  const factor = 1 / Math.sqrt(squares / values.length + eps);
  for (const [i, x] of values.entries()) values[i] = (x - mean) * factor * weight[i]! + (bias?.[i] ?? 0);
}
