import { type Fault, typeError } from "./errors.ts";
import type { Str } from "./text/str.ts";

/**
 * A value of a running template: None is null, Python's int a bigint, its float a number, and all others objects that
 * know what Python's protocols make of them.
 */
export type Value = null | boolean | bigint | number | PyObject;

/** Arguments of a call, by position and by name. */
export interface Arguments {
  args: readonly Value[];
  named: ReadonlyMap<string, Value>;
  /** Names that came out of a mapping (`**named`), as texts with their source. */
  keys?: ReadonlyMap<string, Str>;
}

/** Python's protocols, as their absence: each class has those that its type has. */
export abstract class PyObject {
  /** The type's name: `list`. */
  abstract readonly type: string;

  truth(): boolean {
    return true;
  }

  /** `len(x)` */
  size(): number {
    throw typeError(`object of type '${this.type}' has no len()`);
  }

  /** `iter(x)` */
  items(): Iterator<Value> {
    throw typeError(`'${this.type}' object is not iterable`);
  }

  /** `reversed(x)` */
  reversed(): Iterator<Value> {
    throw typeError(`'${this.type}' object is not reversible`);
  }

  /** `item in x` */
  has(item: Value, equal: (a: Value, b: Value) => boolean): boolean {
    const found = this.items();
    for (let next = found.next(); !next.done; next = found.next()) if (equal(next.value, item)) return true;
    return false;
  }

  /** `x[key]`: what the sandbox catches (`TypeError`, `LookupError`) makes the result undefined. */
  item(_key: Value): Value {
    throw typeError(`'${this.type}' object is not subscriptable`);
  }

  /** `x[start:stop:step]` */
  slice(_start: Value, _stop: Value, _step: Value): Value {
    throw typeError(`'${this.type}' object is not subscriptable`);
  }

  /** `x.name`; undefined where Python has no such attribute. */
  attribute(_name: string): Value | undefined {
    return undefined;
  }

  call(_call: Arguments): Value {
    throw typeError(`'${this.type}' object is not callable`);
  }

  get is_callable(): boolean {
    return false;
  }

  /** A text that is the same for what is equal as a key of a dict; raises where Python has no `hash(x)`. */
  key(_inner: (value: Value) => string): string {
    return `object ${identityOf(this)}`;
  }

  /** Python's `repr`; `inner` gives that of what the object holds. */
  abstract repr(inner: (value: Value) => Str): Str;

  /** What using the value raises, where it is undefined. */
  get undefined_fault(): Fault | undefined {
    return undefined;
  }
}

const identities = new WeakMap<PyObject, number>();
let n_identities = 0;

/** A number for an object that is equal to itself alone. */
function identityOf(value: PyObject): number {
  const known = identities.get(value) ?? n_identities++;
  identities.set(value, known);
  return known;
}

/** The name of a value's type. */
export function typeName(value: Value): string {
  if (value === null) return "NoneType";
  switch (typeof value) {
    case "boolean":
      return "bool";
    case "bigint":
      return "int";
    case "number":
      return "float";
    default:
      return value.type;
  }
}

/** An integer or a bool as one; undefined for others. */
export function integerOf(value: Value): bigint | undefined {
  if (typeof value === "bigint") return value;
  return typeof value === "boolean" ? BigInt(value) : undefined;
}

/** An integer that Python takes for an index (`__index__`), as a number. */
export function indexOf(value: Value): number {
  const integer = integerOf(value);
  if (integer === undefined)
    throw typeError(`'${typeName(value)}' object cannot be interpreted as an integer`);
  // Beyond this no text and no list reaches.
  const most = 2n ** 40n;
  return Number(integer > most ? most : integer < -most ? -most : integer);
}

/** A whole number as Python's int. */
export const int = (value: number): bigint => BigInt(value);
