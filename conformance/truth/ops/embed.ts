import type { Op } from "../../../models/index.ts";
import type { Run } from "../run.ts";
import { meetResidual } from "./sites.ts";

/** h[row] = weight[token of row]; then the residual sites after it. */
export function embed(run: Run, op: Extract<Op, { op: "embed" }>): void {
  const { cols, data } = run.weights[op.weight]!;
  run.buffers[op.out] = run.rows.map(({ token }) =>
    Float64Array.from(data.subarray(token * cols, (token + 1) * cols)),
  );
  meetResidual(run, op.sites, run.buffers[op.out]);
}
