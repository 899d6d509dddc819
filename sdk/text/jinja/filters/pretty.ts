import { onlyOf } from "../../../../models/certain.ts";
import { spend } from "../python/budget.ts";
import { Dict, List, Tuple } from "../python/collections.ts";
import { Fault, isFault } from "../python/errors.ts";
import { typeName, type Value } from "../python/object.ts";
import { ordered, repr } from "../python/protocols.ts";
import { splitLines } from "../python/text/methods.ts";
import { madeOf, Str } from "../python/text/str.ts";
import { SPACE } from "../python/text/unicode.ts";

/** Python's `pprint.pformat` with its defaults: width 80, an indent of one, dicts sorted. */

const WIDTH = 80;
const WORDS = new RegExp(`[^${SPACE}]*[${SPACE}]*`, "g");

export function pretty(value: Value): Str {
  const shown = repr(value);
  return madeOf(format(value, 0, 0), shown);
}

const length = (text: string) => Array.from(text).length;

/** @param indent column where the value begins @param allowance what must fit behind it */
function format(value: Value, indent: number, allowance: number, depth = 0): string {
  spend(1);
  if (depth > 200) throw new Fault("Bounds", "a value of more than 200 levels");
  const flat = oneLine(value);
  if (length(flat) <= WIDTH - indent - allowance) return flat;
  if (value instanceof Dict && value.size() > 0) {
    const items = sortedItems(value).map(([key, item]) => ({ start: `${oneLine(key)}: `, item }));
    return `{${lines(items, indent + 1, allowance + 1, depth)}}`;
  }
  if (value instanceof List) return `[${lines(plain(value.values), indent + 1, allowance + 1, depth)}]`;
  if (value instanceof Tuple && isPlain(value)) {
    const is_single = value.values.length === 1;
    const end = is_single ? ",)" : ")";
    return `(${lines(plain(value.values), indent + 1, allowance + end.length, depth)}${end}`;
  }
  if (value instanceof Str && !value.is_markup) return longText(value, indent, allowance, depth + 1);
  return flat;
}

/** Groups of `groupby` have a repr of their own, which is not taken apart. */
const isPlain = (value: Tuple) => value.constructor === Tuple;

interface Item {
  start: string;
  item: Value;
}

const plain = (values: readonly Value[]): Item[] => values.map((item) => ({ start: "", item }));

function lines(items: readonly Item[], indent: number, allowance: number, depth: number): string {
  const made = items.map(({ start, item }, i) => {
    const is_last = i === items.length - 1;
    return start + format(item, indent + length(start), is_last ? allowance : 1, depth + 1);
  });
  return made.join(`,\n${" ".repeat(indent)}`);
}

/** A text over several lines, cut behind white space. */
function longText(text: Str, indent_given: number, allowance_given: number, level: number): string {
  const is_outermost = level === 1;
  const [indent, allowance] = is_outermost
    ? [indent_given + 1, allowance_given + 1]
    : [indent_given, allowance_given];
  const chunks: string[] = [];
  const all = splitLines(text, true).map((line) => line.value);
  const show = (part: string) => repr(new Str(part)).value;
  for (const [i, line] of all.entries()) {
    const most = WIDTH - indent - (i === all.length - 1 ? allowance : 0);
    if (length(show(line)) <= most) {
      chunks.push(show(line));
      continue;
    }
    const words = line.match(WORDS)!.filter((word) => word !== "");
    let current = "";
    for (const [j, word] of words.entries()) {
      const is_last = i === all.length - 1 && j === words.length - 1;
      const width = WIDTH - indent - (is_last ? allowance : 0);
      if (current !== "" && length(show(current + word)) > width) {
        chunks.push(show(current));
        current = word;
      } else current += word;
    }
    if (current !== "") chunks.push(show(current));
  }
  if (chunks.length === 1) return onlyOf(chunks);
  const made = chunks.join(`\n${" ".repeat(indent)}`);
  return is_outermost ? `(${made})` : made;
}

/** Keys in order; those without one by their type's name. */
function sortedItems(value: Dict): (readonly [Value, Value])[] {
  const less = (a: Value, b: Value) => {
    try {
      return ordered(a, b, "<");
    } catch (error) {
      if (!isFault(error, "TypeError")) throw error;
      return typeName(a) < typeName(b);
    }
  };
  return [...value.entries].sort(([a], [b]) => (less(a, b) ? -1 : less(b, a) ? 1 : 0));
}

/** The repr, with dicts in order. */
function oneLine(value: Value): string {
  spend(1);
  if (value instanceof Dict) {
    return `{${sortedItems(value)
      .map(([key, item]) => `${oneLine(key)}: ${oneLine(item)}`)
      .join(", ")}}`;
  }
  if (value instanceof List) return `[${value.values.map(oneLine).join(", ")}]`;
  if (value instanceof Tuple && isPlain(value))
    return `(${value.values.map(oneLine).join(", ")}${value.values.length === 1 ? "," : ""})`;
  return repr(value).value;
}
