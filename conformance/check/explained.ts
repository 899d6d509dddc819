import { isQuantised } from "../../models/index.ts";
import type { CaseReport, Divergence, QuantisationLoss } from "./report.ts";

/** What judges the rows of a dtype. */
export function judgeOf(dtype: string): string {
  return isQuantised(dtype) ? `the f64 truth with ${dtype} weights` : "the reference";
}

/** What the f64 truth said of a case that it was asked about, as one line for people. */
export function explained(
  { dtype, passed }: Pick<CaseReport, "dtype" | "passed">,
  divergence: Divergence,
): string {
  const truth = isQuantised(dtype) ? judgeOf(dtype) : "the f64 truth";
  const where = `against ${truth} (${divergence.run}, ${divergence.pass})`;
  if ("unknown" in divergence) return `${where}: could not be asked: ${divergence.unknown}`;
  const { first } = divergence;
  if (first === null) {
    const rest = isQuantised(dtype) ? "how tokens are chosen" : "the reference, or the model it was made of";
    return `${where}: every site is within its bound${passed ? "" : `, so what differs is ${rest}`}`;
  }
  const { site, token, relative_error, bound, before, ops } = first;
  const was = before === null ? "" : ` (${before.relative_error.toExponential(2)} at ${before.site})`;
  return (
    `${where}: ${site} is the first to diverge, token ${token}: ${relative_error.toExponential(2)} ` +
    `over ${bound.toExponential(2)}${was}; between them: ${ops.join(", ")}`
  );
}

/** `q8 itself costs 1.5e-1, 4.8 times the design's 3e-2 (floor: logits, token 12)` */
export function lossText(dtype: string, { compared_with, worst }: QuantisationLoss): string {
  const { name, site, token, relative_error } = worst;
  const times = (relative_error / compared_with).toPrecision(2);
  return (
    `${dtype} itself costs ${relative_error.toExponential(1)}, ${times} times the design's ` +
    `${compared_with.toExponential()} (${name}: ${site}, token ${token})`
  );
}
