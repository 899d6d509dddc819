import { spend } from "./budget.ts";
import { Dict, List, Tuple } from "./collections.ts";
import { Fault, typeError } from "./errors.ts";
import { floatText, intText } from "./numbers.ts";
import { typeName, type Value } from "./object.ts";
import { sorted } from "./protocols.ts";
import { Str, StrBuilder } from "./text/str.ts";

export interface JsonOptions {
  ensure_ascii: boolean;
  /** What each level is indented by; null for one line. */
  indent: Str | null;
  item_separator: Str;
  key_separator: Str;
  sort_keys: boolean;
}

/** Levels of nested lists and objects; Python's stack ends near a thousand. */
const DEEPEST = 900;

/** Python's `json.dumps`. */
export function dumps(value: Value, options: JsonOptions): Str {
  const made = new StrBuilder();
  write(value, options, made, 0);
  return made.done();
}

function write(value: Value, options: JsonOptions, made: StrBuilder, depth: number): void {
  spend(1);
  if (depth > DEEPEST) throw new Fault("Bounds", `JSON of more than ${DEEPEST} levels`);
  if (value instanceof Str) writeText(value, options, made);
  else if (value instanceof List || value instanceof Tuple) {
    const items = value.values.map((item) => () => write(item, options, made, depth + 1));
    writeAll("[", items, "]", options, made, depth);
  } else if (value instanceof Dict) {
    const items = entriesOf(value, options).map(([key, item]) => () => {
      writeText(keyText(key), options, made);
      made.add(options.key_separator);
      write(item, options, made, depth + 1);
    });
    writeAll("{", items, "}", options, made, depth);
  } else made.text(scalar(value) ?? notJson(value));
}

function entriesOf(value: Dict, { sort_keys }: JsonOptions): (readonly [Value, Value])[] {
  const entries = [...value.entries];
  if (!sort_keys) return entries;
  return sorted(
    entries.map((entry) => new Tuple(entry)),
    (item) => item,
    false,
  ).map((item) => (item as Tuple).values as readonly [Value, Value]);
}

function writeAll(
  open: string,
  items: readonly (() => void)[],
  close: string,
  { indent, item_separator }: JsonOptions,
  made: StrBuilder,
  depth: number,
): void {
  made.text(open);
  const line = (levels: number) => {
    if (indent !== null) made.text("\n").made(indent.value.repeat(levels), indent);
  };
  for (const [i, item] of items.entries()) {
    if (i > 0) made.add(item_separator);
    line(depth + 1);
    item();
  }
  if (items.length > 0) line(depth);
  made.text(close);
}

/** What JSON writes without quotes; undefined for what it has not. */
function scalar(value: Value): string | undefined {
  if (value === null) return "null";
  switch (typeof value) {
    case "boolean":
      return String(value);
    case "bigint":
      return intText(value);
    case "number":
      if (Number.isNaN(value)) return "NaN";
      return Number.isFinite(value) ? floatText(value) : value > 0 ? "Infinity" : "-Infinity";
    default:
      return undefined;
  }
}

function notJson(value: Value): never {
  throw typeError(`Object of type ${typeName(value)} is not JSON serializable`);
}

function keyText(key: Value): Str {
  if (key instanceof Str) return key;
  const text = scalar(key);
  if (text === undefined) throw typeError(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
  return new Str(text);
}

const ESCAPES: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f", "\b": "\\b" };

function writeText(text: Str, { ensure_ascii }: JsonOptions, made: StrBuilder): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON escapes them
  const pattern = ensure_ascii ? /["\\\0-\x1f]|[^\0-\x7e]/g : /["\\\0-\x1f]/g;
  made.text('"');
  made.replaced(text, pattern, (char) => {
    if (char === '"' || char === "\\") return `\\${char}`;
    return ESCAPES[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  made.text('"');
}
