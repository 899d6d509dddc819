import { Environment } from "@huggingface/jinja";

/** Values of a running template, and what Python makes of them as text: `str`, `repr`, `json.dumps`, `==`. */

/** A value of the library; its class by `type`. */
export interface Value {
  type: string;
  value: unknown;
  __bool__(): { value: boolean };
}
export interface ListValue extends Value {
  value: Value[];
}
export interface DictValue extends Value {
  value: Map<string, Value>;
}
export type FunctionBody = (args: Value[], scope: unknown) => Value;

/** Counts work; throws when there was too much of it. */
export type Spend = (units: number) => void;

/** The library's class for a kind of value: it exports none of them. */
function classOf<T>(example: unknown): new (value: T) => Value {
  const made = new Environment().set("example", example);
  return made.constructor as unknown as new (
    value: T,
  ) => Value;
}

const Text = classOf<string>("");
const Integer = classOf<number>(1);
const Float = classOf<number>(0.5);
const Bool = classOf<boolean>(true);
const List = classOf<Value[]>([]);
const Dict = classOf<Map<string, Value>>({});
const Function_ = classOf<FunctionBody>(() => null);

export const noneValue = new (classOf<null>(null))(null);
export const undefinedValue = new (classOf<undefined>(undefined))(undefined);
export const listOf = (items: Value[]): ListValue => new List(items) as ListValue;
export const dictOf = (entries: Map<string, Value>): Value => new Dict(entries);
export const floatOf = (value: number): Value => new Float(value);
export const functionOf = (body: FunctionBody): Value => new Function_(body);

/** A plain JavaScript value as one of the library; what JSON has not is undefined. */
export function wrap(plain: unknown): Value {
  switch (typeof plain) {
    case "string":
      return new Text(plain);
    case "number":
      return Number.isInteger(plain) ? new Integer(plain) : new Float(plain);
    case "boolean":
      return new Bool(plain);
    case "object":
      if (plain === null) return noneValue;
      if (Array.isArray(plain)) return listOf(plain.map(wrap));
      return dictOf(new Map(Object.entries(plain).map(([key, value]) => [key, wrap(value)])));
    default:
      return undefinedValue;
  }
}

export function isText(value: Value | undefined): value is Value & { value: string } {
  return value?.type === "StringValue";
}
export function isList(value: Value | undefined): value is ListValue {
  return value?.type === "ArrayValue" || value?.type === "TupleValue";
}
export function isDict(value: Value | undefined): value is DictValue {
  return value?.type === "ObjectValue" || value?.type === "KeywordArgumentsValue";
}
export function isNumber(value: Value | undefined): value is Value & { value: number } {
  return value?.type === "IntegerValue" || value?.type === "FloatValue";
}

/** Python's `str(value)`, as a template prints it. */
export function str(value: Value, spend: Spend): string {
  return isText(value) ? value.value : value.type === "UndefinedValue" ? "" : repr(value, spend);
}

/** Python's `repr(value)`. */
function repr(value: Value, spend: Spend): string {
  spend(1);
  if (isText(value)) return reprText(value.value);
  if (isList(value)) {
    const items = value.value.map((item) => repr(item, spend));
    if (value.type === "TupleValue") return `(${items.join(", ")}${items.length === 1 ? "," : ""})`;
    return `[${items.join(", ")}]`;
  }
  if (isDict(value) || value.type === "NamespaceValue") {
    const entries = [...(value as DictValue).value].map(
      ([key, item]) => `${reprText(key)}: ${repr(item, spend)}`,
    );
    return value.type === "NamespaceValue"
      ? `<Namespace {${entries.join(", ")}}>`
      : `{${entries.join(", ")}}`;
  }
  switch (value.type) {
    case "BooleanValue":
      return value.value === true ? "True" : "False";
    case "NullValue":
      return "None";
    case "UndefinedValue":
      return "Undefined";
    case "IntegerValue":
    case "FloatValue":
      return number(value as Value & { value: number });
    default:
      return `<${value.type}>`;
  }
}

/** Python prints these as they are inside a repr; the rest is escaped. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;
const SHORT: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };

function reprText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let made = "";
  for (const char of text) {
    if (char === quote) made += `\\${char}`;
    else if (SHORT[char] !== undefined) made += SHORT[char];
    else if (!UNPRINTABLE.test(char)) made += char;
    else {
      const code = char.codePointAt(0)!.toString(16);
      made +=
        code.length <= 2
          ? `\\x${code.padStart(2, "0")}`
          : code.length <= 4
            ? `\\u${code.padStart(4, "0")}`
            : `\\U${code.padStart(8, "0")}`;
    }
  }
  return quote + made + quote;
}

/** Python's repr of a number. A float that JSON wrote without a fraction counts as an integer while it is exact. */
function number({ type, value }: Value & { value: number }): string {
  if (type === "IntegerValue" && Number.isSafeInteger(value))
    return Object.is(value, -0) ? "0" : String(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const [digits, power] = value.toExponential().split("e") as [string, string];
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    return `${digits}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  // JavaScript writes out powers down to -7 and up to 20, so these are plain decimals.
  const plain =
    exponent < 0
      ? value.toFixed(Math.min(100, digits.replace(/^-?\d\.?/, "").length - exponent))
      : String(value);
  return plain.includes(".") ? plain : `${plain}.0`;
}

export interface JsonOptions {
  indent: number | null;
  ensure_ascii: boolean;
  sort_keys: boolean;
  separators: [string, string] | null;
}

/** Python's `json.dumps`. Throws for what JSON has not. */
export function toJson(value: Value, options: JsonOptions, spend: Spend, depth = 0): string {
  spend(1);
  const { indent, separators } = options;
  const [comma, colon] = separators ?? [indent === null ? ", " : ",", ": "];
  const text = (one: string) => jsonText(one, options.ensure_ascii);
  const wrap = (open: string, items: string[], close: string) => {
    if (items.length === 0) return open + close;
    if (indent === null) return open + items.join(comma) + close;
    const line = `\n${" ".repeat(indent * depth)}`;
    const inner = line + " ".repeat(indent);
    return open + inner + items.join(comma + inner) + line + close;
  };
  if (isText(value)) return text(value.value);
  if (isList(value))
    return wrap(
      "[",
      value.value.map((item) => toJson(item, options, spend, depth + 1)),
      "]",
    );
  if (isDict(value)) {
    const entries = [...value.value];
    if (options.sort_keys) entries.sort(([a], [b]) => (a < b ? -1 : 1));
    const items = entries.map(([key, item]) => text(key) + colon + toJson(item, options, spend, depth + 1));
    return wrap("{", items, "}");
  }
  switch (value.type) {
    case "BooleanValue":
      return String(value.value);
    case "NullValue":
      return "null";
    case "IntegerValue":
    case "FloatValue":
      return number(value as Value & { value: number });
    default:
      throw new Error(`${value.type} is not JSON serializable`);
  }
}

/** JSON.stringify writes lone surrogates and U+007F otherwise than Python only where it must. */
function jsonText(text: string, ensure_ascii: boolean): string {
  const json = JSON.stringify(text);
  if (!ensure_ascii) return json;
  return json.replace(/[\x7f-\uffff]/g, (char) =>
    char === "\x7f" ? char : `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Python's `==`. */
export function equal(a: Value, b: Value, spend: Spend): boolean {
  spend(1);
  const numeric = (value: Value) => isNumber(value) || value.type === "BooleanValue";
  if (numeric(a) && numeric(b)) return Number(a.value) === Number(b.value);
  if (isList(a) && isList(b)) {
    return (
      a.type === b.type &&
      a.value.length === b.value.length &&
      a.value.every((item, i) => equal(item, b.value[i]!, spend))
    );
  }
  if (isDict(a) && isDict(b)) {
    if (a.value.size !== b.value.size) return false;
    return [...a.value].every(([key, item]) => b.value.has(key) && equal(item, b.value.get(key)!, spend));
  }
  return a.type === b.type && a.value === b.value;
}
