import { LARGEST_INTEGER, spend } from "./budget.ts";
import { Fault, valueError } from "./errors.ts";
import { decimalValue, isSpace } from "./text/unicode.ts";

/** Python's int and float: how they print, parse, divide and round. */

/** Python prints no longer integers. */
const MOST_DIGITS = 4300;

/** Keeps an integer within bounds. */
export function bounded(value: bigint): bigint {
  // Small ones need no look at their length.
  if (value < 2n ** 64n && value > -(2n ** 64n)) return value;
  const digits = value.toString(16).length;
  spend(digits / 16);
  if (digits * 4 > LARGEST_INTEGER) throw tooLarge();
  return value;
}

/** `base ** exponent` of integers, the exponent not negative. */
export function integerPower(base: bigint, exponent: bigint): bigint {
  if (base === 0n || base === 1n) return exponent === 0n ? 1n : base;
  if (base === -1n) return exponent % 2n === 0n ? 1n : -1n;
  const bits = BigInt((base < 0n ? -base : base).toString(2).length - 1);
  if (bits * exponent > BigInt(LARGEST_INTEGER)) throw tooLarge();
  return bounded(base ** exponent);
}

function tooLarge(): Fault {
  return new Fault("Bounds", `an integer of more than ${LARGEST_INTEGER} bits`);
}

export function intText(value: bigint): string {
  const text = value.toString();
  if (text.length > MOST_DIGITS + (value < 0n ? 1 : 0))
    throw valueError(`Exceeds the limit (${MOST_DIGITS} digits) for integer string conversion`);
  return text;
}

/** Python's repr of a float. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const [digits, power] = Math.abs(value).toExponential().split("e") as [string, string];
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) return `${sign}${digits}e${exponentText(exponent)}`;
  return sign + pointAt(digits.replace(".", ""), exponent);
}

/** `+05`, `-12`: two digits at least. */
export function exponentText(exponent: number): string {
  return (exponent < 0 ? "-" : "+") + String(Math.abs(exponent)).padStart(2, "0");
}

/** Digits with the point behind the one of 10^0; a fraction always. */
function pointAt(digits: string, exponent: number): string {
  if (exponent < 0) return `0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${whole}.${digits.slice(exponent + 1) || "0"}`;
}

/** A finite float as a fraction of integers, the denominator a power of two. */
export function fractionOf(value: number): { numerator: bigint; denominator: bigint } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, Math.abs(value));
  const bits = view.getBigUint64(0);
  const power = Number(bits >> 52n);
  const fraction = bits & ((1n << 52n) - 1n);
  const [mantissa, exponent] = power === 0 ? [fraction, -1074] : [fraction | (1n << 52n), power - 1075];
  const signed = value < 0 ? -mantissa : mantissa;
  return exponent >= 0
    ? { numerator: signed << BigInt(exponent), denominator: 1n }
    : { numerator: signed, denominator: 1n << BigInt(-exponent) };
}

/** numerator / denominator to the nearest integer, halves to the even one; both positive or zero. */
export function divideHalfEven(numerator: bigint, denominator: bigint): bigint {
  const [quotient, rest] = [numerator / denominator, numerator % denominator];
  const twice = rest * 2n;
  return twice > denominator || (twice === denominator && quotient % 2n === 1n) ? quotient + 1n : quotient;
}

/** |value| with so many decimals, exactly rounded, halves to even: as C prints `%.nf`. */
export function fixedDigits(value: number, decimals: number): string {
  const { numerator, denominator } = fractionOf(Math.abs(value));
  const scaled = divideHalfEven(numerator * 10n ** BigInt(decimals), denominator).toString();
  if (decimals === 0) return scaled;
  const padded = scaled.padStart(decimals + 1, "0");
  return `${padded.slice(0, -decimals)}.${padded.slice(-decimals)}`;
}

/** |value| as digits d.ddd (`decimals` after the point) and the power of ten, exactly rounded: as `%.ne`. */
export function scientificDigits(value: number, decimals: number): { digits: string; exponent: number } {
  if (value === 0) return { digits: "0".repeat(decimals + 1), exponent: 0 };
  const { numerator, denominator } = fractionOf(Math.abs(value));
  let exponent = Number(Math.abs(value).toExponential().split("e")[1]);
  for (;;) {
    const shift = decimals - exponent;
    const digits = (
      shift >= 0
        ? divideHalfEven(numerator * 10n ** BigInt(shift), denominator)
        : divideHalfEven(numerator, denominator * 10n ** BigInt(-shift))
    ).toString();
    if (digits.length === decimals + 1) return { digits, exponent };
    exponent += digits.length - decimals - 1;
  }
}

/** Python's `int / int`: the nearest float, however long they are. */
export function divideIntegers(a: bigint, b: bigint): number {
  const [x, y] = [Number(a), Number(b)];
  if (Number.isSafeInteger(x) && Number.isSafeInteger(y)) return x / y;
  const negative = a < 0n !== b < 0n;
  const [n, d] = [a < 0n ? -a : a, b < 0n ? -b : b];
  if (n === 0n) return 0;
  // A quotient of 66 bits or more with a bit that stands for the rest rounds as the true one does.
  const shift = Math.max(0, 66 + d.toString(2).length - n.toString(2).length);
  const quotient = ((n << BigInt(shift)) / d) | ((n << BigInt(shift)) % d === 0n ? 0n : 1n);
  const half = Math.floor(shift / 2);
  const result = Number(quotient) / 2 ** half / 2 ** (shift - half);
  if (!Number.isFinite(result))
    throw new Fault("ArithmeticError", "integer division result too large for a float");
  return negative ? -result : result;
}

/** An integer as a float; too large ones raise. */
export function floatOf(value: bigint): number {
  const result = Number(value);
  if (!Number.isFinite(result)) throw new Fault("ArithmeticError", "int too large to convert to float");
  return result;
}

/** `a // b` of integers. */
export function floorDivide(a: bigint, b: bigint): bigint {
  if (b === 0n) throw new Fault("ArithmeticError", "integer division or modulo by zero");
  const quotient = a / b;
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient;
}

/** `a % b` of floats: the sign is the divisor's. */
export function floatModulo(a: number, b: number): number {
  if (b === 0) throw new Fault("ArithmeticError", "float modulo");
  const rest = a % b;
  if (rest === 0) return b < 0 ? -0 : 0;
  return rest < 0 !== b < 0 ? rest + b : rest;
}

/** `a // b` of floats, as CPython computes it. */
export function floatFloorDivide(a: number, b: number): number {
  if (b === 0) throw new Fault("ArithmeticError", "float floor division by zero");
  const rest = a % b;
  let quotient = (a - rest) / b;
  if (rest !== 0 && rest < 0 !== b < 0) quotient -= 1;
  if (quotient === 0) return a / b < 0 || Object.is(a / b, -0) ? -0 : 0;
  const floor = Math.floor(quotient);
  return quotient - floor > 0.5 ? floor + 1 : floor;
}

/** Python's `round(value, digits)` of a float. */
export function roundFloat(value: number, digits: number): number {
  if (!Number.isFinite(value) || digits > 323) return value;
  const is_negative = value < 0 || Object.is(value, -0);
  if (digits < -308) return is_negative ? -0 : 0;
  if (digits >= 0) return Number((is_negative ? "-" : "") + fixedDigits(value, digits));
  const { numerator, denominator } = fractionOf(Math.abs(value));
  const unit = 10n ** BigInt(-digits);
  const rounded = Number(divideHalfEven(numerator, denominator * unit) * unit);
  return is_negative ? -rounded : rounded;
}

/** Python's `round(value, digits)` of an integer. */
export function roundInteger(value: bigint, digits: number): bigint {
  if (digits >= 0) return value;
  if (-digits > MOST_DIGITS) return 0n;
  const unit = 10n ** BigInt(-digits);
  const rounded = divideHalfEven(value < 0n ? -value : value, unit) * unit;
  return value < 0n ? -rounded : rounded;
}

/** Digits of other scripts as ASCII ones, and without the white space at its ends: as int() and float() read. */
function plainNumber(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text[start])) start++;
  while (end > start && isSpace(text[end - 1])) end--;
  return text
    .slice(start, end)
    .replace(/[^\0-\x7f]/gu, (char) => (/\p{Nd}/u.test(char) ? String(decimalValue(char)) : char));
}

/** Python's `int(text, base)`; undefined where it raises ValueError. */
export function parseInteger(text: string, base: number): bigint | undefined {
  if (base !== 0 && (base < 2 || base > 36)) return undefined;
  let [, sign, prefix = "", digits = ""] =
    /^([+-]?)(0[xX]_?|0[oO]_?|0[bB]_?)?(.*)$/s.exec(plainNumber(text)) ?? [];
  const of_prefix = ({ x: 16, o: 8, b: 2 } as Record<string, number>)[prefix.charAt(1).toLowerCase()];
  let radix = base;
  if (of_prefix !== undefined && base !== 0 && base !== of_prefix) {
    // "0b1" is digits in base 16, and no number in base 10.
    digits = prefix + digits;
    prefix = "";
  } else if (base === 0) radix = of_prefix ?? 10;
  if (base === 0 && prefix === "" && /^0[0_]*[1-9]/.test(digits)) return undefined;
  if (!/^[0-9a-z]+(_[0-9a-z]+)*$/i.test(digits)) return undefined;
  const plain = digits.replaceAll("_", "").toLowerCase();
  if (plain.length > MOST_DIGITS) return undefined;
  let value = 0n;
  for (const char of plain) {
    const digit = Number.parseInt(char, 36);
    if (digit >= radix) return undefined;
    value = value * BigInt(radix) + BigInt(digit);
  }
  return sign === "-" ? -value : value;
}

/** Python's `float(text)`; undefined where it raises ValueError. */
export function parseFloating(text: string): number | undefined {
  const plain = plainNumber(text);
  const special = /^([+-]?)(inf|infinity|nan)$/i.exec(plain);
  if (special !== null) {
    const [, sign, name = ""] = special;
    const size = name.toLowerCase() === "nan" ? Number.NaN : Number.POSITIVE_INFINITY;
    return sign === "-" ? -size : size;
  }
  const digits = "\\d+(?:_\\d+)*";
  const pattern = new RegExp(`^[+-]?(?:${digits}\\.?(?:${digits})?|\\.${digits})(?:e[+-]?${digits})?$`, "i");
  return pattern.test(plain) ? Number(plain.replaceAll("_", "")) : undefined;
}
