import { Tuple } from "../python/collections.ts";
import type { Value } from "../python/object.ts";

/** A group of the filter `groupby`: a tuple whose parts have names. */
export class GroupTuple extends Tuple {
  constructor(grouper: Value, list: Value) {
    super([grouper, list]);
  }

  override attribute(name: string): Value | undefined {
    return name === "grouper" ? this.values[0] : name === "list" ? this.values[1] : undefined;
  }
}
