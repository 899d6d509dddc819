import { Dict, List, Range, Tuple } from "../collections.ts";
import { Fault, typeError, valueError } from "../errors.ts";
import { floatOf, intText } from "../numbers.ts";
import { indexOf, integerOf, PyObject, typeName, type Value } from "../object.ts";
import { repr, str } from "../protocols.ts";
import { escapeHtml } from "../text/markup.ts";
import { EMPTY, Str, StrBuilder } from "../text/str.ts";
import { codePoint } from "../text/unicode.ts";
import { Undefined } from "../undefined.ts";
import { formatFloat, groupSign } from "./floats.ts";

interface Conversion {
  flags: string;
  width: number;
  precision: number | undefined;
  type: string;
}

/** A format's text, one field at a time. */
const FIELD = /%(?:\(((?:[^()]|\([^()]*\))*)\))?([#0\- +]*)(\*|\d+)?(?:\.(\*|\d*))?[hlL]?(.|$)/gsu;
/** Width and precision beyond this are refused. */
const WIDEST = 100_000;

/** Python's `format % values`. */
export function formatPercent(format: Str, values: Value): Str {
  const given = new Values(values);
  const made = new StrBuilder();
  let from = 0;
  FIELD.lastIndex = 0;
  for (const match of format.value.matchAll(FIELD)) {
    made.part(format, from, match.index);
    from = match.index + match[0].length;
    const [, key, flags_given = "", width_given, precision_given, type = ""] = match;
    if (type === "") throw valueError("incomplete format");
    if (key !== undefined) given.choose(key);
    let flags = flags_given;
    let width = Number(width_given ?? 0);
    if (width_given === "*") {
      width = given.star();
      if (width < 0) flags += "-";
      width = Math.abs(width);
    }
    const precision =
      precision_given === undefined
        ? undefined
        : precision_given === "*"
          ? Math.max(0, given.star())
          : Number(precision_given);
    if (width > WIDEST || (precision ?? 0) > WIDEST)
      throw new Fault("Bounds", `a field wider than ${WIDEST}`);
    if (type === "%") made.text("%");
    else made.add(convert(given.next(), { flags, width, precision, type }, format.is_markup));
  }
  given.finish();
  return made.part(format, from, format.value.length).done(format.is_markup);
}

/** The values of a format: a tuple's items one by one, a mapping's by name, or one value. */
class Values {
  readonly #all: Value;
  #current: readonly Value[];
  #at = 0;
  /** What may be a mapping need not be used up. */
  readonly #is_mapping: boolean;

  constructor(values: Value) {
    this.#all = values;
    this.#current = values instanceof Tuple ? values.values : [values];
    this.#is_mapping =
      values instanceof Dict ||
      values instanceof List ||
      values instanceof Range ||
      values instanceof Undefined;
  }

  choose(key: string): void {
    if (!this.#is_mapping || !(this.#all instanceof PyObject)) throw typeError("format requires a mapping");
    this.#current = [this.#all.item(new Str(key))];
    this.#at = 0;
  }

  next(): Value {
    const value = this.#current[this.#at++];
    if (value === undefined) throw typeError("not enough arguments for format string");
    return value;
  }

  star(): number {
    const value = this.next();
    if (integerOf(value) === undefined) throw typeError("* wants int");
    return indexOf(value);
  }

  finish(): void {
    if (this.#at < this.#current.length && !this.#is_mapping)
      throw typeError("not all arguments converted during string formatting");
  }
}

function convert(value: Value, conversion: Conversion, is_markup: boolean): Str {
  const { type, precision } = conversion;
  const markup = (text: Str) => (is_markup ? escapeHtml(text).as(false) : text);
  switch (type) {
    case "s":
    case "r":
    case "a": {
      const plain =
        is_markup && type === "s"
          ? escapeHtml(value).as(false)
          : type === "s"
            ? str(value)
            : markup(repr(value));
      const text = type === "a" ? ascii(plain) : plain;
      const cut = precision === undefined ? text : text.points(0, Math.min(precision, text.length));
      return padded(cut, EMPTY, conversion, " ");
    }
    case "c":
      return padded(character(value), EMPTY, conversion, " ");
    case "d":
    case "i":
    case "u":
    case "o":
    case "x":
    case "X":
      return integral(value, conversion);
    case "e":
    case "E":
    case "f":
    case "F":
    case "g":
    case "G":
      return floating(value, conversion);
    default:
      throw valueError(`unsupported format character '${type}'`);
  }
}

function character(value: Value): Str {
  if (value instanceof Str) {
    if (value.length === 1) return value;
    throw typeError("%c requires int or char");
  }
  if (integerOf(value) === undefined) throw typeError("%c requires int or char");
  const code = indexOf(value);
  if (code < 0 || code > 0x10ffff) throw new Fault("ArithmeticError", "%c arg not in range(0x110000)");
  return new Str(String.fromCodePoint(code));
}

function integral(value: Value, conversion: Conversion): Str {
  const { type, flags, precision = 0 } = conversion;
  let whole = integerOf(value);
  if (value instanceof Undefined) throw value.undefined_fault;
  if (whole === undefined && typeof value === "number" && "diu".includes(type)) {
    if (!Number.isFinite(value)) throw new Fault("ArithmeticError", "cannot convert float to integer");
    whole = BigInt(Math.trunc(value));
  }
  if (whole === undefined) {
    const need = "diu".includes(type) ? "a real number" : "an integer";
    throw typeError(`%${type} format: ${need} is required, not ${typeName(value)}`);
  }
  const size = whole < 0n ? -whole : whole;
  const radix = type === "o" ? 8 : type === "x" || type === "X" ? 16 : 10;
  let digits = radix === 10 ? intText(size) : size.toString(radix);
  digits = digits.padStart(precision, "0");
  let prefix = groupSign(whole < 0n, flags.includes("+") ? "+" : flags.includes(" ") ? " " : "-");
  if (flags.includes("#") && radix !== 10) prefix += `0${type}`;
  if (type === "X") digits = digits.toUpperCase();
  return padded(new Str(digits), new Str(prefix), conversion, flags.includes("0") ? "0" : " ");
}

function floating(value: Value, conversion: Conversion): Str {
  const { type, flags, precision = 6 } = conversion;
  const whole = integerOf(value);
  if (value instanceof Undefined) throw value.undefined_fault;
  const real = whole === undefined ? value : floatOf(whole);
  if (typeof real !== "number") throw typeError(`must be real number, not ${typeName(value)}`);
  const { digits, negative } = formatFloat(real, type, precision, flags.includes("#"));
  const sign = groupSign(negative, flags.includes("+") ? "+" : flags.includes(" ") ? " " : "-");
  return padded(new Str(digits), new Str(sign), conversion, flags.includes("0") ? "0" : " ");
}

function padded(text: Str, prefix: Str, { flags, width }: Conversion, fill: " " | "0"): Str {
  const missing = Math.max(0, width - text.length - prefix.length);
  const made = new StrBuilder();
  if (flags.includes("-")) return made.add(prefix).add(text).text(" ".repeat(missing)).done();
  if (fill === "0") return made.add(prefix).text("0".repeat(missing)).add(text).done();
  return made.text(" ".repeat(missing)).add(prefix).add(text).done();
}

/** `ascii(value)` of what `repr` made. */
export function ascii(text: Str): Str {
  const escape_one = (char: string) => {
    const code = codePoint(char).toString(16);
    if (code.length <= 2) return `\\x${code.padStart(2, "0")}`;
    return code.length <= 4 ? `\\u${code.padStart(4, "0")}` : `\\U${code.padStart(8, "0")}`;
  };
  return new StrBuilder().replaced(text, /[^\0-\x7f]/gu, escape_one).done();
}
