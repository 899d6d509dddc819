import { itemAt } from "../../../models/certain.ts";
import type { Op } from "../../../models/index.ts";
import type { StepRun } from "../run.ts";

/** k and v of each row go to the cache at the row's position. A row of qkv is q heads, k heads, v heads. */
export function kvAppend(run: StepRun, op: Extract<Op, { op: "kv_append" }>): void {
  const { width } = run.cache;
  for (const [r, row] of run.buffers[op.in].entries()) {
    const { entry, position } = itemAt(run.rows, r);
    const { key, value } = run.cache.at(entry.ask.blocks, op.layer, position);
    key.set(row.subarray(row.length - 2 * width, row.length - width));
    value.set(row.subarray(row.length - width));
  }
}
