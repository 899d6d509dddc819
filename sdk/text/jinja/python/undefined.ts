import { Fault, type FaultKind } from "./errors.ts";
import { PyObject, typeName, type Value } from "./object.ts";
import { Str } from "./text/str.ts";

/**
 * jinja2's Undefined: prints as nothing, is false, holds nothing and equals its like; all else that one does with it
 * raises what it is undefined for.
 */
export class Undefined extends PyObject {
  readonly type = "Undefined";
  readonly #message: string;
  readonly #kind: FaultKind;

  constructor(message: string, kind: FaultKind = "UndefinedError") {
    super();
    this.#message = message;
    this.#kind = kind;
  }

  static ofName(name: string): Undefined {
    return new Undefined(`'${name}' is undefined`);
  }

  /** Of an object that lacks an attribute or an item. */
  static of(object: Value, name: string): Undefined {
    const owner = object === null ? "None" : `${typeName(object)} object`;
    return new Undefined(`'${owner}' has no attribute '${name}'`);
  }

  override get undefined_fault(): Fault {
    return new Fault(this.#kind, this.#message);
  }

  override key(): string {
    return "undefined";
  }

  override truth(): boolean {
    return false;
  }

  override size(): number {
    return 0;
  }

  override items(): Iterator<Value> {
    return [][Symbol.iterator]();
  }

  override reversed(): Iterator<Value> {
    return this.items();
  }

  override item(): Value {
    throw this.undefined_fault;
  }

  override slice(): Value {
    throw this.undefined_fault;
  }

  override attribute(): Value {
    throw this.undefined_fault;
  }

  override call(): Value {
    throw this.undefined_fault;
  }

  override get is_callable(): boolean {
    return true;
  }

  repr(): Str {
    return new Str("Undefined");
  }
}
