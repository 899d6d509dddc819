import { CapstanError } from "./errors.ts";

// Lookups whose success the code around them makes certain. Where it is mistaken, they throw `internal` with both numbers.
// A loop over many numbers reads them by itself: one call a number would cost more than the number.

/** Element `index` of a list that is known to be longer. */
export function itemAt<Item>(list: ArrayLike<Item>, index: number): Item {
  if (!(index >= 0 && index < list.length)) throw mistaken(`element ${index}`, `a list of ${list.length}`);
  return list[index] as Item;
}

/** The last element of a list that is known to have one. */
export function lastOf<Item>(list: ArrayLike<Item>): Item {
  return itemAt(list, list.length - 1);
}

/** The element of a list that is known to have one and no more. */
export function onlyOf<Item>(list: ArrayLike<Item>): Item {
  if (list.length !== 1) throw mistaken("one element", `a list of ${list.length}`);
  return itemAt(list, 0);
}

/** The value of a key that is known to be in a map. */
export function entryOf<Key, Value>(map: ReadonlyMap<Key, Value>, key: Key): Value {
  const value = map.get(key);
  if (value === undefined && !map.has(key))
    throw mistaken(`key ${String(key)}`, `a map of ${map.size} others`);
  return value as Value;
}

/** A value that is known to be there. `what` names it in the error. */
export function present<Value>(value: Value, what: string): NonNullable<Value> {
  if (value === undefined || value === null) throw mistaken(what, String(value));
  return value;
}

function mistaken(need: string, found: string): CapstanError {
  return new CapstanError("internal", { action: "look up what is certain to be there", need, found });
}
