import type { Value } from "../python/object.ts";
import { contains, equal, ordered } from "../python/protocols.ts";
import type { Comparison } from "../syntax/nodes.ts";

export function compare(operator: Comparison, left: Value, right: Value): boolean {
  switch (operator) {
    case "==":
      return equal(left, right);
    case "!=":
      return !equal(left, right);
    case "in":
      return contains(right, left);
    case "not in":
      return !contains(right, left);
    default:
      return ordered(left, right, operator);
  }
}
