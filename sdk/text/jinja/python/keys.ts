import { spend, spendRead } from "./budget.ts";
import type { Value } from "./object.ts";

/**
 * A text that is the same for values which are equal as keys of a dict: 1, 1.0 and True are one key.
 *
 * @throws Fault `TypeError` for what has no hash
 */
export function keyOf(value: Value | string): string {
  spend(0.1);
  if (value === null) return "none";
  switch (typeof value) {
    case "string":
      return textKey(value);
    case "boolean":
      return value ? "n1" : "n0";
    case "bigint":
      return `n${value}`;
    case "number":
      return Number.isInteger(value) ? `n${BigInt(value)}` : `n${value}`;
    default:
      return value.key(keyOf);
  }
}

export function textKey(text: string): string {
  spendRead(text.length);
  return `s${text}`;
}
