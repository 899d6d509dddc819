import { CapstanError, isObject, show } from "../../../models/index.ts";
import { nearestName, type Rule } from "../../common/options.ts";

/** Places [start, end) of a list, from 0. */
export interface Range {
  start: number;
  end: number;
}

/** Some of a list: by name or id, and by place. */
export type Subset = readonly (string | number | Range)[];

/** The rule of an option that names a subset. */
export const subset: Rule = {
  need: "a list of names, ids or ranges { start, end }",
  fits: (value) =>
    Array.isArray(value) && value.length > 0 && value.every((one) => isName(one) || isRange(one)),
};

function isName(value: unknown): value is string | number {
  return typeof value === "string" || typeof value === "number";
}

function isRange(value: unknown): value is Range {
  if (!isObject(value)) return false;
  const { start, end } = value as Partial<Record<keyof Range, number>>;
  if (start === undefined || end === undefined) return false;
  return Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start < end;
}

/**
 * The items of a list that a subset names, in the list's order.
 *
 * @param what the option's name
 * @throws CapstanError `bad_request` for a name that no item has, or a range beyond the list
 */
export function chooseFrom<T>(
  items: readonly T[],
  idOf: (item: T) => string | number,
  chosen: Subset | undefined,
  what: string,
): T[] {
  if (chosen === undefined) return [...items];
  const places = new Map(items.map((item, place) => [String(idOf(item)), place]));
  const wanted = new Set<number>();
  for (const one of chosen) {
    if (isName(one)) {
      const place = places.get(String(one));
      if (place === undefined) throw unknownItem(what, one, [...places.keys()]);
      wanted.add(place);
    } else {
      if (one.end > items.length) throw beyond(what, one, items.length);
      for (let place = one.start; place < one.end; place++) wanted.add(place);
    }
  }
  return items.filter((_, place) => wanted.has(place));
}

function unknownItem(what: string, found: string | number, known: readonly string[]): CapstanError {
  const nearest = nearestName(String(found), known);
  const some = known.slice(0, 8).join(", ");
  const need = `${what} of those that are there (${some}${known.length > 8 ? ", ..." : ""})`;
  const parts = { action: "collect", need, found: show(found) };
  return new CapstanError(
    "bad_request",
    nearest === undefined ? parts : { ...parts, fix: `Is ${nearest} meant?` },
  );
}

function beyond(what: string, { start, end }: Range, n: number): CapstanError {
  const parts = { action: "collect", need: `${what} within 0:${n}`, found: `${start}:${end}` };
  return new CapstanError("bad_request", parts);
}
