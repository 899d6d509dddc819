import { spendList, spendText } from "./budget.ts";
import { List, Tuple } from "./collections.ts";
import { Fault, typeError } from "./errors.ts";
import { formatPercent } from "./format/percent.ts";
import * as numbers from "./numbers.ts";
import { indexOf, integerOf, typeName, type Value } from "./object.ts";
import { escapeHtml } from "./text/markup.ts";
import { concat, Str, StrBuilder } from "./text/str.ts";
import { Undefined } from "./undefined.ts";

export type Operator = "+" | "-" | "*" | "/" | "//" | "%" | "**";

/** `a + b` and its kin. */
export function operate(operator: Operator, a: Value, b: Value): Value {
  const [x, y] = [integerOf(a), integerOf(b)];
  if (x !== undefined && y !== undefined) return ofIntegers(operator, x, y);
  if (isReal(a) && isReal(b)) return ofFloats(operator, real(a), real(b));
  if (a instanceof Str && operator === "%") return formatPercent(a, b);
  for (const side of [a, b]) if (side instanceof Undefined) throw side.undefined_fault;
  const made =
    operator === "+" ? added(a, b) : operator === "*" ? (repeated(a, b) ?? repeated(b, a)) : undefined;
  if (made !== undefined) return made;
  const name = operator === "**" ? "** or pow()" : operator;
  throw typeError(`unsupported operand type(s) for ${name}: '${typeName(a)}' and '${typeName(b)}'`);
}

const isReal = (value: Value): value is boolean | bigint | number =>
  typeof value === "number" || integerOf(value) !== undefined;

const real = (value: boolean | bigint | number): number =>
  typeof value === "number" ? value : numbers.floatOf(BigInt(value));

function ofIntegers(operator: Operator, a: bigint, b: bigint): bigint | number {
  switch (operator) {
    case "+":
      return numbers.bounded(a + b);
    case "-":
      return numbers.bounded(a - b);
    case "*":
      return numbers.bounded(a * b);
    case "/":
      if (b === 0n) throw new Fault("ArithmeticError", "division by zero");
      return numbers.divideIntegers(a, b);
    case "//":
      return numbers.floorDivide(a, b);
    case "%":
      return a - numbers.floorDivide(a, b) * b;
    case "**":
      if (b < 0n) return floatPower(numbers.floatOf(a), numbers.floatOf(b));
      return numbers.integerPower(a, b);
    default:
      return operator satisfies never;
  }
}

function ofFloats(operator: Operator, a: number, b: number): number {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      if (b === 0) throw new Fault("ArithmeticError", "float division by zero");
      return a / b;
    case "//":
      return numbers.floatFloorDivide(a, b);
    case "%":
      return numbers.floatModulo(a, b);
    case "**":
      return floatPower(a, b);
    default:
      return operator satisfies never;
  }
}

function floatPower(base: number, exponent: number): number {
  if (base === 1 || exponent === 0) return 1;
  if (base === 0 && exponent < 0)
    throw new Fault("ArithmeticError", "0.0 cannot be raised to a negative power");
  if (base === -1 && !Number.isFinite(exponent) && !Number.isNaN(exponent)) return 1;
  if (base < 0 && Number.isFinite(base) && Number.isFinite(exponent) && !Number.isInteger(exponent))
    throw new Fault("ArithmeticError", "complex numbers are beyond this runtime");
  const result = base ** exponent;
  if (!Number.isFinite(result) && Number.isFinite(base) && Number.isFinite(exponent))
    throw new Fault("ArithmeticError", "numerical result out of range");
  return result;
}

function added(a: Value, b: Value): Value | undefined {
  if (a instanceof Str && b instanceof Str) {
    if (!a.is_markup && !b.is_markup) return concat(a, b);
    return concat(escapeHtml(a), escapeHtml(b)).as(true);
  }
  const are_lists = (a instanceof List && b instanceof List) || (a instanceof Tuple && b instanceof Tuple);
  if (!are_lists) return undefined;
  spendList(a.values.length + b.values.length);
  const values = [...a.values, ...b.values];
  return a instanceof List ? new List(values) : new Tuple(values);
}

/** A text, list or tuple so many times. */
function repeated(value: Value, count: Value): Value | undefined {
  if (integerOf(count) === undefined) return undefined;
  const times = Math.max(0, indexOf(count));
  if (value instanceof Str) {
    spendText(value.value.length * times);
    if (value.runs.length === 0) return new Str(value.value.repeat(times), [], value.is_markup);
    const made = new StrBuilder();
    for (let i = 0; i < times; i++) made.add(value);
    return made.done(value.is_markup);
  }
  if (!(value instanceof List || value instanceof Tuple)) return undefined;
  spendList(value.values.length * times);
  const values = Array.from({ length: times }, () => value.values).flat();
  return value instanceof List ? new List(values) : new Tuple(values);
}

/** `-value`, `+value` */
export function signed(operator: "-" | "+", value: Value): bigint | number {
  const integer = integerOf(value);
  if (integer !== undefined) return operator === "-" ? -integer : integer;
  if (typeof value === "number") return operator === "-" ? -value : value;
  if (value instanceof Undefined) throw value.undefined_fault;
  throw typeError(`bad operand type for unary ${operator}: '${typeName(value)}'`);
}
