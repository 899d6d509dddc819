import { itemAt } from "../../../../models/certain.ts";
import { checkList, spend, spendList, spendRead, spendText } from "./budget.ts";
import { Dict, DictView, List, Range, Tuple } from "./collections.ts";
import { Fault, typeError } from "./errors.ts";
import { floatText, intText } from "./numbers.ts";
import { PyObject, typeName, type Value } from "./object.ts";
import { Str } from "./text/str.ts";
import { Undefined } from "./undefined.ts";

/** Python's built-in functions of any value: `bool`, `str`, `repr`, `len`, `iter`, `==`, `<`, `in`. */

export function truth(value: Value): boolean {
  if (value instanceof PyObject) return value.truth();
  return Boolean(value);
}

/** `str(value)`: what a template prints. */
export function str(value: Value): Str {
  if (value instanceof Str) return value.as(false);
  return value instanceof Undefined ? new Str("") : repr(value);
}

/** markupsafe's soft_str: markup stays markup. */
export function softStr(value: Value): Str {
  return value instanceof Str ? value : str(value);
}

export function repr(value: Value): Str {
  spend(1);
  if (value === null) return new Str("None");
  switch (typeof value) {
    case "boolean":
      return new Str(value ? "True" : "False");
    case "bigint":
      return new Str(intText(value));
    case "number":
      return new Str(floatText(value));
    default:
      return value.repr(repr);
  }
}

export function length(value: Value): number {
  if (value instanceof PyObject) return value.size();
  throw typeError(`object of type '${typeName(value)}' has no len()`);
}

export function isIterable(value: Value): boolean {
  try {
    iterate(value);
    return true;
  } catch (error) {
    if (error instanceof Fault && error.kind === "TypeError") return false;
    throw error;
  }
}

/** `iter(value)` */
export function iterate(value: Value): Iterator<Value> {
  if (value instanceof PyObject) return value.items();
  throw typeError(`'${typeName(value)}' object is not iterable`);
}

/** `iter(value)`, for a loop; each turn costs. */
export function* each(value: Value): Generator<Value> {
  const items = iterate(value);
  for (let next = items.next(); !next.done; next = items.next()) {
    spend(1);
    yield next.value;
  }
}

/** `list(value)` */
export function listed(value: Value): Value[] {
  if (value instanceof List || value instanceof Tuple) {
    spendList(value.values.length);
    return [...value.values];
  }
  const items: Value[] = [];
  for (const item of each(value)) {
    items.push(item);
    checkList(items.length);
  }
  return items;
}

const isNumber = (value: Value): value is boolean | bigint | number =>
  typeof value === "boolean" || typeof value === "bigint" || typeof value === "number";

const plain = (value: boolean | bigint | number) => (typeof value === "boolean" ? Number(value) : value);

/** `a == b` */
export function equal(a: Value, b: Value): boolean {
  spend(1);
  if (a === b) return !(typeof a === "number" && Number.isNaN(a));
  // biome-ignore lint/suspicious/noDoubleEquals: an int equals a float of the same value
  if (isNumber(a) && isNumber(b)) return plain(a) == plain(b);
  if (a instanceof Str) return b instanceof Str && sameText(a.value, b.value);
  if (a instanceof List) return b instanceof List && sameItems(a.values, b.values);
  if (a instanceof Tuple) return b instanceof Tuple && sameItems(a.values, b.values);
  if (a instanceof Dict) return b instanceof Dict && sameEntries(a, b);
  if (a instanceof Undefined) return b instanceof Undefined;
  if (a instanceof Range && b instanceof Range) {
    const [one, other] = [a.range, b.range];
    if (one.count !== other.count || one.count === 0) return one.count === other.count;
    return one.start === other.start && (one.count === 1 || one.step === other.step);
  }
  if (a instanceof DictView && b instanceof DictView) return sameSet(a, b);
  return false;
}

function sameText(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  spendRead(a.length);
  return a === b;
}

function sameItems(a: readonly Value[], b: readonly Value[]): boolean {
  return a.length === b.length && a.every((item, i) => same(item, itemAt(b, i)));
}

/** What containers compare by: the same object, or an equal one. */
function same(a: Value, b: Value): boolean {
  return (a instanceof PyObject && a === b) || equal(a, b);
}

function sameEntries(a: Dict, b: Dict): boolean {
  if (a.size() !== b.size()) return false;
  for (const [key, value] of a.entries) {
    const other = b.get(key);
    if (other === undefined || !same(value, other)) return false;
  }
  return true;
}

/** Keys and items are sets to `==`. */
function sameSet(a: DictView, b: DictView): boolean {
  if (a.type === "dict_values" || b.type === "dict_values" || a.size() !== b.size()) return false;
  for (const item of each(a)) if (!contains(b, item)) return false;
  return true;
}

/** `a < b`, and the other orders; raises where there is none. */
export function ordered(a: Value, b: Value, operator: "<" | "<=" | ">" | ">="): boolean {
  spend(1);
  if (isNumber(a) && isNumber(b)) return holds(operator, plain(a), plain(b));
  if (a instanceof Str && b instanceof Str) return holds(operator, comparePoints(a.value, b.value), 0);
  const are_lists = (a instanceof List && b instanceof List) || (a instanceof Tuple && b instanceof Tuple);
  if (are_lists) {
    const [one, other] = [a.values, b.values];
    const at = one.findIndex((item, i) => i >= other.length || !same(item, itemAt(other, i)));
    if (at < 0 || at >= other.length) return holds(operator, one.length, other.length);
    return ordered(itemAt(one, at), itemAt(other, at), operator);
  }
  for (const side of [a, b]) if (side instanceof Undefined) throw side.undefined_fault;
  throw typeError(`'${operator}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`);
}

function holds<T extends bigint | number>(
  operator: "<" | "<=" | ">" | ">=",
  a: T | bigint,
  b: T | bigint,
): boolean {
  switch (operator) {
    case "<":
      return a < b;
    case "<=":
      return a <= b;
    case ">":
      return a > b;
    default:
      return a >= b;
  }
}

/** Texts are ordered by code point; JavaScript orders them by unit. */
function comparePoints(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  spendText(shorter);
  for (let i = 0; i < shorter; i++) {
    if (a[i] === b[i]) continue;
    const [one, other] = [a.charCodeAt(i), b.charCodeAt(i)];
    const high = (code: number) => code >= 0xd800 && code < 0xe000;
    return high(one) === high(other) ? one - other : high(one) ? 1 : -1;
  }
  return a.length - b.length;
}

/** `item in whole` */
export function contains(whole: Value, item: Value): boolean {
  if (!(whole instanceof PyObject)) throw typeError(`argument of type '${typeName(whole)}' is not iterable`);
  return whole.has(item, (a, b) => same(a, b));
}

/** Python's sorted(), by keys. */
export function sorted(items: readonly Value[], keyOf: (item: Value) => Value, reverse: boolean): Value[] {
  spendList(items.length);
  const keyed = items.map((item) => ({ item, key: keyOf(item) }));
  if (reverse) keyed.reverse();
  keyed.sort((a, b) => (ordered(a.key, b.key, "<") ? -1 : ordered(b.key, a.key, "<") ? 1 : 0));
  if (reverse) keyed.reverse();
  return keyed.map(({ item }) => item);
}
