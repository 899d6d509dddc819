import { itemAt } from "../../../models/certain.ts";
import type { Op } from "../../../models/index.ts";
import type { Row, StepRun } from "../run.ts";

/** Keeps the rows whose logits are wanted: all of an entry, its last, or none. */
export function gather(run: StepRun, op: Extract<Op, { op: "gather" }>): void {
  const kept = run.rows.flatMap((row, r) => (isWanted(row) ? [r] : []));
  run.gathered = kept.map((r) => itemAt(run.rows, r));
  run.buffers[op.out] = kept.map((r) => itemAt(run.buffers[op.in], r));
}

function isWanted({ entry, index }: Row): boolean {
  const { logits, sample, tokens } = entry.ask;
  if (logits === "all") return true;
  return index === tokens.length - 1 && (logits === "last" || sample !== null);
}
