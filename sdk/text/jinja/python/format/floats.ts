import { exponentText, fixedDigits, scientificDigits } from "../numbers.ts";

/**
 * A float in C's way of printing (`%e`, `%f`, `%g`), without its sign. `is_alternate`: `#`, the point stays. Type `r`
 * is Python's `g` of a format without a type: a digit behind the point, or an exponent one place sooner.
 */
export function formatFloat(
  value: number,
  type: string,
  precision: number,
  is_alternate: boolean,
): { digits: string; negative: boolean } {
  const negative = value < 0 || Object.is(value, -0);
  const is_upper = type === "E" || type === "F" || type === "G";
  const lower = Number.isFinite(value)
    ? finite(Math.abs(value), type.toLowerCase(), precision, is_alternate)
    : Number.isNaN(value)
      ? "nan"
      : "inf";
  return { digits: is_upper ? lower.toUpperCase() : lower, negative };
}

function finite(value: number, type: string, precision: number, is_alternate: boolean): string {
  if (type === "f") return fixedDigits(value, precision) + (is_alternate && precision === 0 ? "." : "");
  if (type === "e") return scientific(scientificDigits(value, precision), is_alternate);
  const significant = Math.max(1, precision);
  const { digits, exponent } = scientificDigits(value, significant - 1);
  const kept = is_alternate ? digits : digits.replace(/0+$/, "") || "0";
  const is_short = type === "r";
  if (exponent < -4 || exponent >= significant - (is_short ? 1 : 0))
    return scientific({ digits: kept, exponent }, is_alternate);
  const text = plain(kept, exponent, is_alternate);
  return is_short && !text.includes(".") ? `${text}.0` : text;
}

function scientific(
  { digits, exponent }: { digits: string; exponent: number },
  is_alternate: boolean,
): string {
  const point = digits.length > 1 || is_alternate ? "." : "";
  return `${digits[0]}${point}${digits.slice(1)}e${exponentText(exponent)}`;
}

/** Digits with the point where the exponent puts it. */
function plain(digits: string, exponent: number, is_alternate: boolean): string {
  if (exponent < 0) return `0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  const fraction = digits.slice(exponent + 1);
  return whole + (fraction !== "" || is_alternate ? "." : "") + fraction;
}

/** The sign to print: always for "+", a space for " ", else for negative numbers alone. */
export function groupSign(negative: boolean, sign: string): string {
  if (negative) return "-";
  return sign === "+" || sign === " " ? sign : "";
}
