import { itemAt } from "../../../models/certain.ts";
import type { Op } from "../../../models/index.ts";
import type { StepRun } from "../run.ts";
import type { Weight } from "../weights.ts";
import { meetResidual } from "./sites.ts";

/** h[row] = scale * weight[token of row] + positions[position of row]; then the residual sites after it. */
export function embed(run: StepRun, op: Extract<Op, { op: "embed" }>): void {
  const table = itemAt(run.weights, op.weight);
  const positions = op.positions === null ? null : itemAt(run.weights, op.positions);
  run.buffers[op.out] = run.rows.map(({ token, position }) => {
    const h = Float64Array.from(rowOf(table, token), (x) => x * op.scale);
    if (positions !== null) for (const [i, x] of rowOf(positions, position).entries()) h[i]! += x;
    return h;
  });
  meetResidual(run, op.sites, run.buffers[op.out]);
}

function rowOf({ cols, data }: Weight, row: number): Float32Array {
  return data.subarray(row * cols, (row + 1) * cols);
}
