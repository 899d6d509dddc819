import { Fault, typeError, valueError } from "../errors.ts";
import { floatOf, floatText, intText } from "../numbers.ts";
import { integerOf, typeName, type Value } from "../object.ts";
import { str } from "../protocols.ts";
import { Str, StrBuilder } from "../text/str.ts";
import { formatFloat, groupSign } from "./floats.ts";

interface Spec {
  fill: string;
  align: string | undefined;
  sign: string | undefined;
  is_alternate: boolean;
  width: number;
  grouping: string;
  precision: number | undefined;
  type: string;
}

const SPEC = /^(?:(.)?([<>=^]))?([+\- ])?(z)?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?(.)?$/su;
const WIDEST = 100_000;

/** Python's `format(value, spec)`. */
export function formatValue(value: Value, spec_text: string): Str {
  if (spec_text === "") return str(value);
  const is_text = value instanceof Str;
  const whole = integerOf(value);
  if (!is_text && whole === undefined && typeof value !== "number") {
    throw typeError(`unsupported format string passed to ${typeName(value)}.__format__`);
  }
  const spec = parseSpec(spec_text, is_text);
  if (is_text) return formatText(value, spec);
  if (whole !== undefined && !"eEfFgG%".includes(spec.type || "d")) return formatInteger(whole, spec);
  return formatReal(whole === undefined ? (value as number) : floatOf(whole), spec);
}

function parseSpec(text: string, is_text: boolean): Spec {
  const match = SPEC.exec(text);
  if (match === null) throw valueError("Invalid format specifier");
  const [, fill, align, sign, no_minus_zero, alternate, zero, width, grouping, precision, type] = match;
  if (no_minus_zero !== undefined) throw valueError("the option z of format specifiers is not supported");
  const spec = {
    // A zero before the width is the filling, and puts the sign of numbers in front.
    fill: fill ?? (zero === undefined ? " " : "0"),
    align: align ?? (zero !== undefined && !is_text ? "=" : undefined),
    sign,
    is_alternate: alternate !== undefined,
    width: Number(width ?? 0),
    grouping: grouping ?? "",
    precision: precision === undefined ? undefined : Number(precision),
    type: type ?? "",
  };
  if (spec.width > WIDEST || (spec.precision ?? 0) > WIDEST)
    throw new Fault("Bounds", `a field wider than ${WIDEST}`);
  return spec;
}

function formatText(value: Str, spec: Spec): Str {
  if (spec.type !== "" && spec.type !== "s") throw unknownType(spec.type, "str");
  if (spec.sign !== undefined) throw valueError("Sign not allowed in string format specifier");
  if (spec.is_alternate) throw valueError("Alternate form (#) not allowed in string format specifier");
  if (spec.grouping !== "") throw valueError(`Cannot specify '${spec.grouping}' with 's'.`);
  if (spec.align === "=") throw valueError("'=' alignment not allowed in string format specifier");
  const { precision } = spec;
  const cut = precision === undefined ? value : value.points(0, Math.min(precision, value.length));
  return aligned(new Str(""), cut, spec, "<");
}

function formatInteger(value: bigint, spec: Spec): Str {
  const { type, grouping } = spec;
  if (spec.precision !== undefined) throw valueError("Precision not allowed in integer format specifier");
  if (type === "c") {
    if (spec.sign !== undefined) throw valueError("Sign not allowed with integer format specifier 'c'");
    if (spec.is_alternate)
      throw valueError("Alternate form (#) not allowed with integer format specifier 'c'");
    if (grouping !== "") throw valueError(`Cannot specify '${grouping}' with 'c'.`);
    if (value < 0n || value > 0x10ffffn) throw new Fault("ArithmeticError", "%c arg not in range(0x110000)");
    return aligned(new Str(""), new Str(String.fromCodePoint(Number(value))), spec, ">");
  }
  const radix = ({ b: 2, o: 8, x: 16, X: 16, d: 10, n: 10, "": 10 } as Record<string, number>)[type];
  if (radix === undefined) throw unknownType(type, "int");
  if (grouping === "," && radix !== 10) throw valueError(`Cannot specify ',' with '${type}'.`);
  if (grouping !== "" && type === "n") throw valueError(`Cannot specify '${grouping}' with 'n'.`);
  const size = value < 0n ? -value : value;
  let digits = radix === 10 ? intText(size) : size.toString(radix);
  if (type === "X") digits = digits.toUpperCase();
  const prefix =
    groupSign(value < 0n, spec.sign ?? "-") + (spec.is_alternate && radix !== 10 ? `0${type}` : "");
  const every = radix === 10 ? 3 : 4;
  return aligned(new Str(prefix), new Str(grouped(digits, grouping, every, prefix.length, spec)), spec, ">");
}

function formatReal(value: number, spec: Spec): Str {
  const { type, precision, is_alternate } = spec;
  let made: { digits: string; negative: boolean };
  if (type === "" && precision === undefined) {
    const text = floatText(value);
    const negative = text.startsWith("-");
    made = { digits: negative ? text.slice(1) : text, negative };
  } else if (type === "" && precision !== undefined) made = formatFloat(value, "r", precision, is_alternate);
  else if (type === "%") {
    const scaled = formatFloat(value * 100, "f", precision ?? 6, is_alternate);
    made = { ...scaled, digits: `${scaled.digits}%` };
  } else if ("eEfFgGn".includes(type)) {
    made = formatFloat(value, type === "n" ? "g" : type, precision ?? 6, is_alternate);
  } else throw unknownType(type, "float");
  const prefix = groupSign(made.negative, spec.sign ?? "-");
  const whole = /^\d+/.exec(made.digits)?.[0] ?? "";
  const rest = made.digits.slice(whole.length);
  const beside = prefix.length + rest.length;
  const digits = whole === "" ? made.digits : grouped(whole, spec.grouping, 3, beside, spec) + rest;
  return aligned(new Str(prefix), new Str(digits), spec, ">");
}

/** Digits in groups; zeros that fill up the width are grouped too. */
function grouped(digits: string, separator: string, every: number, beside: number, spec: Spec): string {
  if (separator === "") return digits;
  const join = (text: string) => {
    const groups: string[] = [];
    for (let end = text.length; end > 0; end -= every)
      groups.unshift(text.slice(Math.max(0, end - every), end));
    return groups.join(separator);
  };
  let filled = digits;
  if (spec.fill === "0" && spec.align === "=") {
    while (join(filled).length + beside < spec.width) filled = `0${filled}`;
  }
  return join(filled);
}

function aligned(prefix: Str, text: Str, spec: Spec, fallback: string): Str {
  const missing = Math.max(0, spec.width - prefix.length - text.length);
  const align = spec.align ?? fallback;
  const fill = (count: number) => spec.fill.repeat(count);
  const made = new StrBuilder();
  if (align === "=") return made.add(prefix).text(fill(missing)).add(text).done();
  const before = align === "<" ? 0 : align === ">" ? missing : missing >> 1;
  return made
    .text(fill(before))
    .add(prefix)
    .add(text)
    .text(fill(missing - before))
    .done();
}

function unknownType(type: string, of: string): Fault {
  return valueError(`Unknown format code '${type}' for object of type '${of}'`);
}
