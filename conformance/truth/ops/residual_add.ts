import { itemAt } from "../../../models/certain.ts";
import type { Op } from "../../../models/index.ts";
import type { StepRun } from "../run.ts";
import { meetResidual, readSite } from "./sites.ts";

/** in *= scale; `in` is read at `in_site`; into += in; then the hooks of `sites`. */
export function residualAdd(run: StepRun, op: Extract<Op, { op: "residual_add" }>): void {
  for (const delta of run.buffers[op.in]) for (const [i, x] of delta.entries()) delta[i] = x * op.scale;
  readSite(run, op.in_site, run.buffers[op.in]);
  for (const [r, row] of run.buffers[op.into].entries()) {
    const delta = itemAt(run.buffers[op.in], r);
    for (let i = 0; i < row.length; i++) row[i]! += delta[i]!;
  }
  meetResidual(run, op.sites, run.buffers[op.into]);
}
