import type { Divergence } from "./report.ts";

/** What the f64 truth said, as one line for people. */
export function explained(divergence: Divergence, passed: boolean): string {
  const where = `against the f64 truth (${divergence.run}, ${divergence.pass})`;
  if ("unknown" in divergence) return `${where}: could not be asked: ${divergence.unknown}`;
  const { first } = divergence;
  if (first === null) {
    const so = passed ? "" : ", so what differs is the reference, or the model it was made of";
    return `${where}: every site is within its bound${so}`;
  }
  const { site, token, relative_error, bound, before, ops } = first;
  const was = before === null ? "" : ` (${before.relative_error.toExponential(2)} at ${before.site})`;
  return (
    `${where}: ${site} is the first to diverge, token ${token}: ${relative_error.toExponential(2)} ` +
    `over ${bound.toExponential(2)}${was}; between them: ${ops.join(", ")}`
  );
}
