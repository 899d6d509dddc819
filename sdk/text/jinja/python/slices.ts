import { typeError, valueError } from "./errors.ts";
import { indexOf, integerOf, type Value } from "./object.ts";

/** Indices start, start + step, ... of a sequence: `count` of them. */
export interface SliceRange {
  start: number;
  stop: number;
  step: number;
  count: number;
}

/** Python's `slice(start, stop, step).indices(length)`. */
export function sliceRange(length: number, start: Value, stop: Value, step: Value): SliceRange {
  const by = bound(step) ?? 1;
  if (by === 0) throw valueError("slice step cannot be zero");
  const [lowest, highest] = by > 0 ? [0, length] : [-1, length - 1];
  const place = (value: Value, fallback: number) => {
    const given = bound(value);
    if (given === undefined) return fallback;
    return Math.min(highest, Math.max(lowest, given < 0 ? given + length : given));
  };
  const first = place(start, by > 0 ? lowest : highest);
  const last = place(stop, by > 0 ? highest : lowest);
  const count = Math.max(0, Math.ceil((last - first) / by));
  return { start: first, stop: last, step: by, count };
}

function bound(value: Value): number | undefined {
  if (value === null) return undefined;
  if (integerOf(value) === undefined)
    throw typeError("slice indices must be integers or None or have an __index__ method");
  return indexOf(value);
}
