import { itemAt, present } from "../../../models/certain.ts";
import type { Op } from "../../../models/index.ts";
import { isFinite32, type StepRun } from "../run.ts";
import { softcapped } from "./attention.ts";
import { product } from "./matmul.ts";

/** out = cap(scale * (weight in + bias)), and what of it the entries asked to have back. */
export function logits(run: StepRun, op: Extract<Op, { op: "logits" }>): void {
  const weight = itemAt(run.weights, op.weight);
  const bias = op.bias === null ? null : itemAt(run.weights, op.bias).data;
  run.buffers[op.out] = run.buffers[op.in].map((row) =>
    product(weight, row, bias).map((x) => softcapped(x * op.scale, op.softcap)),
  );
  for (const [g, values] of run.buffers[op.out].entries()) {
    const { entry, index } = itemAt(run.gathered, g);
    if (!isFinite32(values)) entry.result.non_finite ??= "logits";
    const at = entry.ask.logits === "all" ? index * values.length : 0;
    if (entry.ask.logits !== "none") present(entry.result.logits, "logits").set(values, at);
  }
}
