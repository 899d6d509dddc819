import { bind, positional } from "../python/calls.ts";
import { Dict, List, Range, Tuple } from "../python/collections.ts";
import { type Arguments, integerOf, PyObject, type Value } from "../python/object.ts";
import { operate } from "../python/operators.ts";
import { contains, equal, isIterable, ordered, str } from "../python/protocols.ts";
import { isLower, isUpper } from "../python/text/methods.ts";
import { Str } from "../python/text/str.ts";
import { Undefined } from "../python/undefined.ts";
import type { FilterContext } from "./filter.ts";

/** What may stand behind `is`, and what `select` and its kin ask. */
export type Test = (value: Value, call: Arguments, context: FilterContext) => boolean;

/** A test that looks at nothing but the value. */
const plain =
  (name: string, holds: (value: Value) => boolean): Test =>
  (value, call) => {
    bind(call, name, []);
    return holds(value);
  };

const compared =
  (holds: (value: Value, other: Value) => boolean): Test =>
  (value, call) =>
    holds(value, positional(call, "operator", 1)[0]);

const eq = compared(equal);
const ne = compared((value, other) => !equal(value, other));
const lt = compared((value, other) => ordered(value, other, "<"));
const le = compared((value, other) => ordered(value, other, "<="));
const gt = compared((value, other) => ordered(value, other, ">"));
const ge = compared((value, other) => ordered(value, other, ">="));

const remainder = (value: Value, divisor: Value, rest: bigint) => equal(operate("%", value, divisor), rest);

const isSequence = (value: Value) =>
  [Str, List, Tuple, Dict, Range, Undefined].some((kind) => value instanceof kind);

const isCallable = (value: Value) => value instanceof PyObject && value.is_callable;

/** Python's `is`, as far as values here have an identity. */
function isSame(value: Value, other: Value): boolean {
  if (value instanceof Str && other instanceof Str) return value.value === other.value;
  return value === other;
}

export const TESTS: ReadonlyMap<string, Test> = new Map<string, Test>(
  Object.entries({
    odd: plain("odd", (value) => remainder(value, 2n, 1n)),
    even: plain("even", (value) => remainder(value, 2n, 0n)),
    divisibleby: (value, call) => remainder(value, bind(call, "divisibleby", ["num"])[0], 0n),
    defined: plain("defined", (value) => !(value instanceof Undefined)),
    undefined: plain("undefined", (value) => value instanceof Undefined),
    filter: (value, call, context) => {
      bind(call, "filter", []);
      return value instanceof Str ? context.hasFilter(value.value) : hashable(value);
    },
    test: (value, call, context) => {
      bind(call, "test", []);
      return value instanceof Str ? context.hasTest(value.value) : hashable(value);
    },
    none: plain("none", (value) => value === null),
    boolean: plain("boolean", (value) => typeof value === "boolean"),
    false: plain("false", (value) => value === false),
    true: plain("true", (value) => value === true),
    integer: plain("integer", (value) => typeof value === "bigint"),
    float: plain("float", (value) => typeof value === "number"),
    lower: plain("lower", (value) => isLower(str(value).value)),
    upper: plain("upper", (value) => isUpper(str(value).value)),
    string: plain("string", (value) => value instanceof Str),
    mapping: plain("mapping", (value) => value instanceof Dict),
    number: plain("number", (value) => typeof value === "number" || integerOf(value) !== undefined),
    sequence: plain("sequence", isSequence),
    iterable: plain("iterable", isIterable),
    callable: (value, call) => {
      positional(call, "callable", 0);
      return isCallable(value);
    },
    sameas: (value, call) => isSame(value, bind(call, "sameas", ["other"])[0]),
    escaped: plain("escaped", (value) => value instanceof Str && value.is_markup),
    in: (value, call) => contains(bind(call, "in", ["seq"])[0], value),
    "==": eq,
    eq,
    equalto: eq,
    "!=": ne,
    ne,
    ">": gt,
    gt,
    greaterthan: gt,
    ">=": ge,
    ge,
    "<": lt,
    lt,
    lessthan: lt,
    "<=": le,
    le,
  } satisfies Record<string, Test>),
);

/** False for what could be a key, and no name; raises for the rest. */
function hashable(value: Value): boolean {
  return contains(new Dict(), value);
}
