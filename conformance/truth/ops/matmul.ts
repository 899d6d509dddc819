import { itemAt } from "../../../models/certain.ts";
import type { Op } from "../../../models/index.ts";
import type { StepRun } from "../run.ts";
import type { Weight } from "../weights.ts";

/** out = weight in + bias, row by row. */
export function matmul(run: StepRun, op: Extract<Op, { op: "matmul" }>): void {
  const weight = itemAt(run.weights, op.weight);
  const bias = op.bias === null ? null : itemAt(run.weights, op.bias).data;
  run.buffers[op.out] = run.buffers[op.in].map((row) => product(weight, row, bias));
}

/** [rows] = weight [rows, cols] times `x` [cols], plus bias [rows]. */
export function product(weight: Weight, x: Float64Array, bias: Float32Array | null): Float64Array {
  const { rows, cols, data } = weight;
  const out = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    let sum = bias === null ? 0 : bias[r]!;
    for (let c = 0; c < cols; c++) sum += data[r * cols + c]! * x[c]!;
    out[r] = sum;
  }
  return out;
}
