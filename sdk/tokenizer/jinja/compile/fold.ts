import { getAttribute, getItem, getSlice } from "../access.ts";
import { CONTEXT_FILTERS, FILTERS } from "../filters/index.ts";
import { TESTS } from "../filters/tests.ts";
import { Dict, List, Range, Tuple } from "../python/collections.ts";
import { Fault, isFault } from "../python/errors.ts";
import type { Arguments, Value } from "../python/object.ts";
import { operate, signed } from "../python/operators.ts";
import { each, str, truth } from "../python/protocols.ts";
import { concat, Str } from "../python/str.ts";
import { Undefined } from "../python/undefined.ts";
import type { CallArguments, Expression } from "../syntax/nodes.ts";
import { compare } from "./compare.ts";
import { Rendering } from "./runtime.ts";

/** Whether text is escaped where an expression stands, as far as the compiler knows. */
export interface Escaping {
  autoescape: boolean;
  /** Known when it runs only. */
  is_volatile: boolean;
}

/** An expression that is no constant. */
class NoConstant extends Error {}

/**
 * The value of an expression without variables, which jinja2 computes when it compiles; undefined for any other, and
 * for one that fails: it will fail when it runs. It shows in a few places only: a slice of what has none is undefined
 * here, and an error there.
 */
export function fold(node: Expression, escaping: Escaping): Value | undefined {
  try {
    return new Folder(escaping).value(node);
  } catch (error) {
    if (error instanceof NoConstant || error instanceof Fault || error instanceof RangeError)
      return undefined;
    throw error;
  }
}

/** Whether jinja2 puts a constant in an expression's place: what Python can write down. */
export function isWritable(value: Value): boolean {
  if (value instanceof Tuple) return value.constructor === Tuple && value.values.every(isWritable);
  if (value instanceof List) return value.values.every(isWritable);
  if (value instanceof Dict)
    return [...value.entries].every(([key, item]) => isWritable(key) && isWritable(item));
  return value === null || typeof value !== "object" || value instanceof Str || value instanceof Range;
}

class Folder {
  readonly #escaping: Escaping;
  readonly #rendering: Rendering;

  constructor(escaping: Escaping) {
    this.#escaping = escaping;
    this.#rendering = new Rendering(new Map());
    this.#rendering.autoescape = escaping.autoescape;
  }

  value(node: Expression): Value {
    switch (node.kind) {
      case "Const":
        return node.value;
      case "Data":
        if (this.#escaping.is_volatile) throw new NoConstant();
        return new Str(node.text, [], this.#escaping.autoescape);
      case "Tuple":
        return new Tuple(node.items.map((item) => this.value(item)));
      case "List":
        return new List(node.items.map((item) => this.value(item)));
      case "Dict":
        return new Dict(node.items.map(({ key, value }) => [this.value(key), this.value(value)] as const));
      case "Conditional":
        if (truth(this.value(node.test))) return this.value(node.value);
        if (node.otherwise === null) throw new NoConstant();
        return this.value(node.otherwise);
      case "Binary":
        return this.#binary(node);
      case "Unary": {
        const value = this.value(node.node);
        return node.operator === "not" ? !truth(value) : signed(node.operator, value);
      }
      case "Compare":
        return this.#compare(node);
      case "Concat":
        return concat(...node.nodes.map((one) => str(this.value(one))));
      case "Filter":
      case "Test":
        return this.#called(node);
      case "Attribute":
        return getAttribute(this.value(node.node), node.name);
      case "Item":
        return this.#item(node);
      case "Name":
      case "NamespaceRef":
      case "Call":
      case "Slice":
        throw new NoConstant();
      default:
        return node satisfies never;
    }
  }

  #binary({ operator, left, right }: Expression & { kind: "Binary" }): Value {
    const first = this.value(left);
    if (operator === "and") return truth(first) ? this.value(right) : first;
    if (operator === "or") return truth(first) ? first : this.value(right);
    return operate(operator, first, this.value(right));
  }

  #compare({ node, operands }: Expression & { kind: "Compare" }): Value {
    let left = this.value(node);
    for (const operand of operands) {
      const right = this.value(operand.node);
      if (!compare(operand.operator, left, right)) return false;
      left = right;
    }
    return true;
  }

  #called(node: Expression & { kind: "Filter" | "Test" }): Value {
    if (this.#escaping.is_volatile || node.node === null) throw new NoConstant();
    const call = this.#arguments(node);
    if (node.kind === "Test") {
      const test = TESTS.get(node.name);
      if (test === undefined) throw new NoConstant();
      return test(this.value(node.node), call, this.#rendering);
    }
    const filter = FILTERS.get(node.name);
    if (filter === undefined || CONTEXT_FILTERS.has(node.name)) throw new NoConstant();
    return filter(this.value(node.node), call, this.#rendering);
  }

  #arguments({ args, named, more_args, more_named }: CallArguments): Arguments {
    const values = args.map((arg) => this.value(arg));
    if (more_args !== null) values.push(...each(this.value(more_args)));
    const by_name = new Map(named.map(({ name, value }) => [name, this.value(value)]));
    if (more_named !== null) throw new NoConstant();
    return { args: values, named: by_name };
  }

  #item({ node, key }: Expression & { kind: "Item" }): Value {
    const object = this.value(node);
    if (key.kind !== "Slice") return getItem(object, this.value(key));
    const part = (one: Expression | null) => (one === null ? null : this.value(one));
    try {
      return getSlice(object, part(key.start), part(key.stop), part(key.step));
    } catch (error) {
      if (isFault(error, "TypeError", "KeyError", "IndexError")) return Undefined.of(object, "slice");
      throw error;
    }
  }
}
