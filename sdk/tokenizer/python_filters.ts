import * as text from "./python_text.ts";
import {
  equal,
  floatOf,
  isDict,
  isList,
  isNumber,
  isText,
  type JsonOptions,
  listOf,
  type Spend,
  str,
  toJson,
  undefinedValue,
  type Value,
  wrap,
} from "./python_values.ts";

/** Arguments of a filter or a method, and what it may need of the interpreter. */
export interface Call {
  args: Value[];
  named: ReadonlyMap<string, Value>;
  spend: Spend;
  /** Applies another filter by name (`map('upper')`). */
  filter(name: string, operand: Value, args: Value[]): Value;
}

type Filter = (operand: Value, call: Call) => Value;

/** Longest text and list that a template may make; a hostile one would make them without end. */
export const LONGEST_TEXT = 2 ** 23;
export const LONGEST_LIST = 2 ** 19;

export function checkLength(characters: number): void {
  if (characters > LONGEST_TEXT) throw new Error(`a text of more than ${LONGEST_TEXT} characters`);
}

/** An argument by position or name. */
export function argument({ args, named }: Call, index: number, name: string): Value | undefined {
  return args[index] ?? named.get(name);
}

export function textArgument(call: Call, index: number, name: string, fallback?: string): string {
  const value = argument(call, index, name);
  if (value === undefined && fallback !== undefined) return fallback;
  if (isText(value)) return value.value;
  throw new Error(`${name} must be a text`);
}

export function numberArgument(call: Call, index: number, name: string, fallback: number): number {
  const value = argument(call, index, name);
  if (value === undefined || value.type === "NullValue") return fallback;
  if (isNumber(value)) return value.value;
  throw new Error(`${name} must be a number`);
}

const truth = (value: Value | undefined) => value?.__bool__().value === true;

/** What Python would iterate over. */
export function itemsOf(value: Value): Value[] {
  if (isList(value)) return value.value;
  if (isText(value)) return Array.from(value.value, wrap);
  if (isDict(value)) return Array.from(value.value.keys(), wrap);
  if (value.type === "UndefinedValue") return [];
  throw new Error(`'${value.type}' is not iterable`);
}

const attributeOf = (value: Value, path: Value): Value => {
  let found = value;
  for (const part of isNumber(path) ? [path.value] : String(path.value).split(".")) {
    if (isList(found)) found = found.value.at(Number(part)) ?? undefinedValue;
    else if (isDict(found) || found.type === "NamespaceValue") {
      found = (found.value as Map<string, Value>).get(String(part)) ?? undefinedValue;
    } else return undefinedValue;
  }
  return found;
};

/** A test by name, as `select`, `selectattr` and `is` use it. */
export function test(
  name: string,
  value: Value,
  other: Value | undefined,
  spend: Spend,
): boolean | undefined {
  const compared = () => compare(value, other ?? undefinedValue);
  switch (name) {
    case "eq":
    case "equalto":
    case "==":
      return equal(value, other ?? undefinedValue, spend);
    case "ne":
    case "!=":
      return !equal(value, other ?? undefinedValue, spend);
    case "gt":
    case "greaterthan":
    case ">":
      return compared() > 0;
    case "ge":
    case ">=":
      return compared() >= 0;
    case "lt":
    case "lessthan":
    case "<":
      return compared() < 0;
    case "le":
    case "<=":
      return compared() <= 0;
    case "in":
      return contains(other ?? undefinedValue, value, spend);
    case "divisibleby":
      return Number(value.value) % Number(other?.value) === 0;
    case "iterable":
      return isList(value) || isText(value) || isDict(value);
    case "sequence":
      return isList(value) || isText(value) || isDict(value);
    case "float":
      return value.type === "FloatValue";
    case "lower":
      return isText(value) && /\p{Cased}/u.test(value.value) && value.value === value.value.toLowerCase();
    case "upper":
      return isText(value) && /\p{Cased}/u.test(value.value) && value.value === value.value.toUpperCase();
    default:
      return undefined;
  }
}

/** Python's `item in whole`. */
export function contains(whole: Value, item: Value, spend: Spend): boolean {
  if (isList(whole)) return whole.value.some((one) => equal(one, item, spend));
  if (isText(whole)) {
    if (isText(item)) return whole.value.includes(item.value);
    throw new Error(`'in <string>' requires string, not ${item.type}`);
  }
  if (isDict(whole)) return isText(item) && whole.value.has(item.value);
  if (whole.type === "UndefinedValue") return false;
  throw new Error(`'${whole.type}' is not iterable`);
}

/** Python's order: numbers with numbers, texts with texts by code point. */
export function compare(a: Value, b: Value): number {
  if (isText(a) && isText(b)) {
    const [left, right] = [Array.from(a.value), Array.from(b.value)];
    for (const [i, one] of left.entries()) {
      const other = right[i];
      if (other === undefined) return 1;
      if (one !== other) return one.codePointAt(0)! - other.codePointAt(0)!;
    }
    return left.length - right.length;
  }
  const number = (value: Value) =>
    isNumber(value) || value.type === "BooleanValue" ? Number(value.value) : Number.NaN;
  const difference = number(a) - number(b);
  if (Number.isNaN(difference)) throw new Error(`no order between ${a.type} and ${b.type}`);
  return difference;
}

/** `map` keeps what the filter makes of each item; `select` and its kin those that a test takes. */
function keep(negate: boolean, by_attribute: boolean): Filter {
  return (operand, call) => {
    const [attribute, ...rest] = by_attribute ? call.args : [undefined, ...call.args];
    const [name, other] = rest;
    const takes = (item: Value) => {
      const value = attribute === undefined ? item : attributeOf(item, attribute);
      if (name === undefined) return truth(value);
      const result =
        test(String(name.value), value, other, call.spend) ?? plainTest(String(name.value), value);
      return result;
    };
    const kept = itemsOf(operand).filter((item) => takes(item) !== negate);
    return listOf(kept);
  };
}

/** Tests that look at nothing but the value. */
export function plainTest(name: string, { type, value }: Value): boolean {
  const kinds: Record<string, boolean> = {
    defined: type !== "UndefinedValue",
    undefined: type === "UndefinedValue",
    none: type === "NullValue",
    string: type === "StringValue",
    number: ["IntegerValue", "FloatValue", "BooleanValue"].includes(type),
    integer: type === "IntegerValue",
    boolean: type === "BooleanValue",
    true: type === "BooleanValue" && value === true,
    false: type === "BooleanValue" && value === false,
    mapping: type === "ObjectValue" || type === "KeywordArgumentsValue",
    callable: type === "FunctionValue",
    odd: type === "IntegerValue" && Math.abs(Number(value)) % 2 === 1,
    even: type === "IntegerValue" && Number(value) % 2 === 0,
  };
  const found = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (found === undefined) throw new Error(`no test named ${name}`);
  return found;
}

const map: Filter = (operand, call) => {
  const attribute = call.named.get("attribute");
  const fallback = call.named.get("default");
  const [name, ...args] = call.args;
  const one = (item: Value) => {
    if (attribute === undefined) return call.filter(String(name?.value), item, args);
    const found = attributeOf(item, attribute);
    return found.type === "UndefinedValue" ? (fallback ?? found) : found;
  };
  return listOf(itemsOf(operand).map(one));
};

export const join: Filter = (operand, call) => {
  const attribute = argument(call, 1, "attribute");
  const items = itemsOf(operand).map((item) =>
    str(attribute === undefined ? item : attributeOf(item, attribute), call.spend),
  );
  const between = str(argument(call, 0, "d") ?? wrap(""), call.spend);
  checkLength(items.reduce((sum, item) => sum + item.length + between.length, 0));
  return wrap(items.join(between));
};

const indent: Filter = (operand, call) => {
  const width = argument(call, 0, "width");
  const space = isText(width) ? width.value : spaces(isNumber(width) ? width.value : 4);
  const first = truth(argument(call, 1, "first"));
  const blank = truth(argument(call, 2, "blank"));
  const lines = text.splitLines(`${str(operand, call.spend)}\n`);
  checkLength(lines.reduce((sum, line) => sum + line.length + space.length, 0));
  const made = lines.map((line, i) =>
    (i === 0 && !first) || (line === "" && !blank && i > 0) ? line : space + line,
  );
  return wrap(made.join("\n"));
};

export function spaces(count: number): string {
  checkLength(count);
  return " ".repeat(Math.max(0, Math.trunc(count)));
}

const tojson: Filter = (operand, call) => {
  const width = argument(call, 1, "indent");
  const separators = argument(call, 2, "separators");
  const options: JsonOptions = {
    ensure_ascii: truth(argument(call, 0, "ensure_ascii")),
    indent: isNumber(width) ? spaces(width.value).length : null,
    separators: isList(separators)
      ? (separators.value.map((one) => String(one.value)) as [string, string])
      : null,
    sort_keys: truth(argument(call, 3, "sort_keys")),
  };
  if ((options.indent ?? 0) > 1000) throw new Error("an indent of more than 1000");
  return wrap(toJson(operand, options, call.spend));
};

/** Python's `text.replace(old, new, count)`, refused before it grows beyond bounds. */
export function replaced(whole: string, call: Call): Value {
  const old = textArgument(call, 0, "old");
  const with_ = textArgument(call, 1, "new");
  const most = numberArgument(call, 2, "count", -1);
  if (with_.length > old.length) {
    let found = 0;
    for (let at = whole.indexOf(old); at >= 0 && old !== ""; at = whole.indexOf(old, at + old.length))
      found++;
    const count = old === "" ? whole.length + 1 : found;
    checkLength(whole.length + (most < 0 ? count : Math.min(count, most)) * (with_.length - old.length));
  }
  return wrap(text.replace(whole, old, with_, most));
}

const extreme =
  (sign: number): Filter =>
  (operand, call) => {
    const attribute = argument(call, 1, "attribute");
    const key = (item: Value) => (attribute === undefined ? item : attributeOf(item, attribute));
    let best: Value | undefined;
    for (const item of itemsOf(operand)) {
      if (best === undefined || sign * compare(key(item), key(best)) > 0) best = item;
    }
    return best ?? undefinedValue;
  };

const unique: Filter = (operand, { spend }) => {
  const seen: Value[] = [];
  const fold = (item: Value) => (isText(item) ? wrap(item.value.toLowerCase()) : item);
  const kept = itemsOf(operand).filter((item) => {
    const folded = fold(item);
    if (seen.some((one) => equal(one, folded, spend))) return false;
    seen.push(folded);
    return true;
  });
  return listOf(kept);
};

const round: Filter = (operand, call) => {
  const places = 10 ** numberArgument(call, 0, "precision", 0);
  const scaled = Number(operand.value) * places;
  const method = textArgument(call, 1, "method", "common");
  if (method !== "common")
    return floatOf((method === "ceil" ? Math.ceil(scaled) : Math.floor(scaled)) / places);
  const down = Math.floor(scaled);
  // Python rounds halves to the even neighbour.
  const up = scaled - down > 0.5 || (scaled - down === 0.5 && down % 2 !== 0);
  return floatOf((up ? down + 1 : down) / places);
};

/** Of texts; what is none goes through Python's `str` first. */
const ofText =
  (made: (one: string) => string): Filter =>
  (operand, { spend }) =>
    wrap(made(str(operand, spend)));

const length: Filter = (operand) => {
  if (isText(operand)) return wrap(text.length(operand.value));
  if (isDict(operand)) return wrap(operand.value.size);
  return wrap(itemsOf(operand).length);
};

/** Filters that the library lacks, or computes otherwise than Jinja does. */
export const FILTERS: Readonly<Record<string, Filter>> = {
  tojson,
  length,
  count: length,
  map,
  join,
  indent,
  unique,
  round,
  select: keep(false, false),
  reject: keep(true, false),
  selectattr: keep(false, true),
  rejectattr: keep(true, true),
  list: (operand) => listOf([...itemsOf(operand)]),
  first: (operand) => itemsOf(operand)[0] ?? undefinedValue,
  last: (operand) => itemsOf(operand).at(-1) ?? undefinedValue,
  reverse: (operand) => {
    const items = [...itemsOf(operand)].reverse();
    return isText(operand) ? wrap(items.map((item) => item.value).join("")) : listOf(items);
  },
  sum: (operand, call) => {
    const attribute = argument(call, 0, "attribute");
    const start = numberArgument(call, 1, "start", 0);
    const number = (item: Value) =>
      Number((attribute === undefined ? item : attributeOf(item, attribute)).value);
    return wrap(itemsOf(operand).reduce((sum, item) => sum + number(item), start));
  },
  max: extreme(1),
  min: extreme(-1),
  items: (operand) =>
    listOf(
      isDict(operand)
        ? Array.from(operand.value, ([key, item]) => listOf([wrap(key), item]))
        : itemsOf(operand),
    ),
  string: ofText((one) => one),
  trim: (operand, call) => {
    const chars = argument(call, 0, "chars");
    return wrap(text.strip(str(operand, call.spend), "both", isText(chars) ? chars.value : undefined));
  },
  upper: ofText((one) => one.toUpperCase()),
  lower: ofText((one) => one.toLowerCase()),
  capitalize: ofText(text.capitalize),
  title: ofText(text.titleFilter),
  replace: (operand, call) => replaced(str(operand, call.spend), call),
  wordcount: (operand, { spend }) => wrap(str(operand, spend).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0),
  int: (operand, call) => {
    const fallback = argument(call, 0, "default") ?? wrap(0);
    if (isText(operand)) {
      const bare = text.strip(operand.value, "both");
      if (/^[+-]?\d+$/.test(bare)) return wrap(Number(bare));
      const number = Number(bare);
      return bare !== "" && Number.isFinite(number) && !/[xob]/i.test(bare)
        ? wrap(Math.trunc(number))
        : fallback;
    }
    return isNumber(operand) || operand.type === "BooleanValue"
      ? wrap(Math.trunc(Number(operand.value)))
      : fallback;
  },
};
