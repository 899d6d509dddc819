import { itemAt } from "../../../../models/certain.ts";
import { bind, positional } from "../python/calls.ts";
import { Fault, isFault, typeError } from "../python/errors.ts";
import {
  fixedDigits,
  floatOf,
  parseFloating,
  parseInteger,
  roundFloat,
  roundInteger,
} from "../python/numbers.ts";
import { indexOf, integerOf, typeName, type Value } from "../python/object.ts";
import { operate, signed } from "../python/operators.ts";
import { ordered, truth } from "../python/protocols.ts";
import { Str } from "../python/text/str.ts";
import { Undefined } from "../python/undefined.ts";
import { argumentFault, type Filter } from "./filter.ts";

/** Filters of numbers. */

/** `float(value)` */
function toFloat(value: Value): number {
  if (typeof value === "number") return value;
  const integer = integerOf(value);
  if (integer !== undefined) return floatOf(integer);
  if (value instanceof Undefined) throw value.undefined_fault;
  if (!(value instanceof Str))
    throw typeError(`float() argument must be a string or a real number, not '${typeName(value)}'`);
  const parsed = parseFloating(value.value);
  if (parsed === undefined) throw new Fault("ValueError", "could not convert string to float");
  return parsed;
}

/** `int(value)` of what is no text. */
function toInteger(value: Value): bigint {
  const integer = integerOf(value);
  if (integer !== undefined) return integer;
  if (value instanceof Undefined) throw value.undefined_fault;
  if (typeof value !== "number")
    throw typeError(`int() argument must be a string or a real number, not '${typeName(value)}'`);
  if (Number.isNaN(value)) throw new Fault("ValueError", "cannot convert float NaN to integer");
  if (!Number.isFinite(value)) throw new Fault("ArithmeticError", "cannot convert float infinity to integer");
  return BigInt(Math.trunc(value));
}

const int: Filter = (value, call) => {
  const [fallback = 0n, base = 10n] = bind(call, "int", [], ["default", "base"]);
  try {
    if (!(value instanceof Str)) return toInteger(value);
    const parsed = parseInteger(value.value, indexOf(base));
    if (parsed !== undefined) return parsed;
  } catch (error) {
    if (!isFault(error, "TypeError", "ValueError")) throw error;
  }
  try {
    return toInteger(toFloat(value));
  } catch (error) {
    if (isFault(error, "TypeError", "ValueError", "ArithmeticError")) return fallback;
    throw error;
  }
};

const float: Filter = (value, call) => {
  const [fallback = 0] = bind(call, "float", [], ["default"]);
  try {
    return toFloat(value);
  } catch (error) {
    if (isFault(error, "TypeError", "ValueError")) return fallback;
    throw error;
  }
};

const abs: Filter = (value, call) => {
  positional(call, "abs", 0);
  if (value instanceof Undefined) throw typeError("bad operand type for abs(): 'Undefined'");
  const number = signed("+", value);
  return ordered(number, 0n, "<") || Object.is(number, -0) ? signed("-", number) : number;
};

const round: Filter = (value, call) => {
  const [precision = 0n, method = new Str("common")] = bind(call, "round", [], ["precision", "method"]);
  const name = method instanceof Str ? method.value : "";
  if (!["common", "ceil", "floor"].includes(name))
    throw argumentFault("method must be common, ceil or floor");
  if (name === "common") return rounded(value, precision);
  const scale = operate("**", 10n, precision);
  const scaled = operate("*", value, scale);
  if (integerOf(scaled) !== undefined) return operate("/", scaled, scale);
  if (typeof scaled !== "number") throw typeError(`must be real number, not ${typeName(scaled)}`);
  return operate("/", toInteger(name === "ceil" ? Math.ceil(scaled) : Math.floor(scaled)), scale);
};

/** `round(value, precision)` */
function rounded(value: Value, precision: Value): bigint | number {
  const integer = integerOf(value);
  if (integer === undefined && typeof value !== "number") {
    if (value instanceof Undefined) throw value.undefined_fault;
    throw typeError(`type ${typeName(value)} doesn't define __round__ method`);
  }
  if (precision === null) return integer ?? roundInteger(toInteger(roundFloat(value as number, 0)), 0);
  const digits = indexOf(precision);
  if (integer !== undefined) return roundInteger(integer, digits);
  const result = roundFloat(value as number, digits);
  if (!Number.isFinite(result) && Number.isFinite(value as number))
    throw new Fault("ArithmeticError", "rounded value too large to represent");
  return result;
}

const PREFIXES = ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];

const filesizeformat: Filter = (value, call) => {
  const [binary = false] = bind(call, "filesizeformat", [], ["binary"]);
  const bytes = toFloat(value);
  const base = truth(binary) ? 1024 : 1000;
  if (bytes === 1) return new Str("1 Byte");
  if (bytes < base) return new Str(`${toInteger(bytes)} Bytes`);
  const index = PREFIXES.findIndex((_, i) => bytes < base ** (i + 2));
  const power = index < 0 ? PREFIXES.length - 1 : index;
  const prefix = truth(binary) ? `${itemAt(PREFIXES, power)[0]!.toUpperCase()}iB` : PREFIXES[power];
  const size = (base * bytes) / Number(BigInt(base) ** BigInt(power + 2));
  if (!Number.isFinite(size)) return new Str(`${Number.isNaN(size) ? "nan" : "inf"} ${prefix}`);
  return new Str(`${fixedDigits(size, 1)} ${prefix}`);
};

export const NUMBER_FILTERS: Readonly<Record<string, Filter>> = { abs, filesizeformat, float, int, round };
