import { Dict, List } from "./python/collections.ts";
import { valueError } from "./python/errors.ts";
import type { Value } from "./python/object.ts";
import { Str } from "./python/text/str.ts";

/** Levels of what a caller gives. */
const DEEPEST = 200;

/**
 * A plain JavaScript value as one of a template's. What JSON has not becomes a text that names its kind, as
 * transformers has it (`<Date>`).
 *
 * @param text makes each text, keys included
 * @throws Fault `ValueError` for what is nested too deeply
 */
export function fromPlain(plain: unknown, text: (text: string) => Str, depth = 0): Value {
  if (depth > DEEPEST) throw valueError(`a value of more than ${DEEPEST} levels`);
  switch (typeof plain) {
    case "string":
      return text(plain);
    case "number":
      // JSON's 1.0 is 1 here; beyond what is exact a number was a float.
      return Number.isSafeInteger(plain) ? BigInt(plain) : plain;
    case "boolean":
    case "bigint":
      return plain;
    case "undefined":
      return null;
    case "object":
      return plain === null ? null : fromObject(plain, text, depth + 1);
    default:
      return new Str(`<${typeof plain}>`);
  }
}

/** Objects that are no mappings of names. */
const OPAQUE = [ArrayBuffer, Date, Map, Promise, RegExp, Set, URL, WeakMap, WeakSet];

function fromObject(plain: object, text: (text: string) => Str, depth: number): Value {
  if (Array.isArray(plain)) return new List(plain.map((item) => fromPlain(item, text, depth)));
  if (ArrayBuffer.isView(plain) || OPAQUE.some((kind) => plain instanceof kind))
    return new Str(`<${plain.constructor.name}>`);
  const entries = Object.entries(plain).filter(([, value]) => value !== undefined);
  return new Dict(entries.map(([key, value]) => [text(key), fromPlain(value, text, depth)] as const));
}
