import { getAttribute, getItem, getSlice } from "../access.ts";
import { CONTEXT_FILTERS, FILTERS } from "../filters/index.ts";
import { TESTS } from "../filters/tests.ts";
import { Dict, List, Range, Tuple } from "../python/collections.ts";
import { Fault, isFault } from "../python/errors.ts";
import type { Arguments, Value } from "../python/object.ts";
import { operate, signed } from "../python/operators.ts";
import { each, str, truth } from "../python/protocols.ts";
import { concat, Str } from "../python/text/str.ts";
import { Undefined } from "../python/undefined.ts";
import { Rendering } from "../runtime/rendering.ts";
import type { CallArguments, Expression } from "../syntax/nodes.ts";
import { compare } from "./compare.ts";
import { children } from "./walk.ts";

/** Whether text is escaped where an expression stands, as far as the compiler knows. */
export interface Escaping {
  autoescape: boolean;
  /** Known when it runs only. */
  is_volatile: boolean;
}

/** An expression that is no constant. */
class NoConstant extends Error {}

/** Kinds of expressions that jinja2 optimizes, with all that they are made of; it leaves literals alone. */
const OPTIMIZED: ReadonlySet<Expression["kind"]> = new Set([
  "Attribute",
  "Binary",
  "Call",
  "Compare",
  "Concat",
  "Conditional",
  "Filter",
  "Item",
  "Test",
  "Unary",
]);

/**
 * Computes expressions without variables, as jinja2 does when it compiles. It shows in a few places only: a slice of
 * what has none is undefined here and an error there, and a dict with a key that cannot be one fails before anything
 * is rendered.
 */
export class Folder {
  readonly #escaping: Escaping;
  readonly #known = new Map<Expression, Value | NoConstant>();

  constructor(escaping: Escaping) {
    this.#escaping = escaping;
  }

  /** What is printed: undefined where that shows only when it runs. */
  printed(node: Expression): Value | undefined {
    try {
      return this.#value(node);
    } catch (error) {
      if (error instanceof NoConstant || error instanceof Fault) return undefined;
      throw error;
    }
  }

  /**
   * The constant that jinja2 puts in an expression's place, if it does.
   *
   * @throws Fault for what fails in all cases
   */
  optimized(node: Expression): Value | undefined {
    if (this.#escaping.is_volatile || !OPTIMIZED.has(node.kind)) return undefined;
    for (const child of children(node)) this.#visit(child as Expression);
    const value = this.#attempt(node);
    return value !== undefined && isWritable(value) ? value : undefined;
  }

  #visit(node: Expression): void {
    if (this.#known.has(node)) return;
    for (const child of children(node)) this.#visit(child as Expression);
    this.#attempt(node);
  }

  #attempt(node: Expression): Value | undefined {
    try {
      return this.#value(node);
    } catch (error) {
      if (error instanceof NoConstant) return undefined;
      throw error;
    }
  }

  #value(node: Expression): Value {
    const known = this.#known.get(node);
    if (known instanceof NoConstant) throw known;
    if (known !== undefined) return known;
    try {
      const value = this.#compute(node);
      this.#known.set(node, value);
      return value;
    } catch (error) {
      const is_beyond = error instanceof RangeError || isFault(error, "Bounds");
      const thrown = is_beyond ? new NoConstant() : error;
      if (thrown instanceof NoConstant) this.#known.set(node, thrown);
      throw thrown;
    }
  }

  #compute(node: Expression): Value {
    switch (node.kind) {
      case "Const":
        return node.value;
      case "Data":
        if (this.#escaping.is_volatile) throw new NoConstant();
        return new Str(node.text, [], this.#escaping.autoescape);
      case "Tuple":
        return new Tuple(node.items.map((item) => this.#value(item)));
      case "List":
        return new List(node.items.map((item) => this.#value(item)));
      case "Dict":
        return this.#dict(node);
      case "Conditional":
        if (truth(this.#value(node.test))) return this.#value(node.value);
        if (node.otherwise === null) throw new NoConstant();
        return this.#value(node.otherwise);
      case "Binary":
        return this.#binary(node);
      case "Unary":
        return quiet(() => {
          const value = this.#value(node.node);
          return node.operator === "not" ? !truth(value) : signed(node.operator, value);
        });
      case "Compare":
        return this.#compare(node);
      case "Concat":
        return concat(...node.nodes.map((one) => str(this.#value(one))));
      case "Filter":
      case "Test":
        return this.#called(node);
      case "Attribute":
        return quiet(() => getAttribute(this.#value(node.node), node.name));
      case "Item":
        return quiet(() => this.#item(node));
      case "Name":
      case "NamespaceRef":
      case "Call":
      case "Slice":
        throw new NoConstant();
      default:
        return node satisfies never;
    }
  }

  /** Item by item: a key that cannot be one is found before what comes behind it. */
  #dict({ items }: Expression & { kind: "Dict" }): Dict {
    const made = new Dict();
    for (const { key, value } of items) made.set(this.#value(key), this.#value(value));
    return made;
  }

  #binary({ operator, left, right }: Expression & { kind: "Binary" }): Value {
    if (operator === "and" || operator === "or") {
      const first = this.#value(left);
      return truth(first) === (operator === "and") ? this.#value(right) : first;
    }
    return quiet(() => operate(operator, this.#value(left), this.#value(right)));
  }

  #compare({ node, operands }: Expression & { kind: "Compare" }): Value {
    let left = this.#value(node);
    return quiet(() => {
      for (const operand of operands) {
        const right = this.#value(operand.node);
        if (!compare(operand.operator, left, right)) return false;
        left = right;
      }
      return true;
    });
  }

  #called(node: Expression & { kind: "Filter" | "Test" }): Value {
    if (this.#escaping.is_volatile || node.node === null) throw new NoConstant();
    const table: ReadonlyMap<string, unknown> = node.kind === "Filter" ? FILTERS : TESTS;
    if (!table.has(node.name) || (node.kind === "Filter" && CONTEXT_FILTERS.has(node.name)))
      throw new NoConstant();
    const call = this.#arguments(node);
    const value = this.#value(node.node);
    const rendering = new Rendering(new Map());
    rendering.autoescape = this.#escaping.autoescape;
    const name = new Str(node.name);
    return quiet(() =>
      node.kind === "Filter" ? rendering.filter(name, value, call) : rendering.test(name, value, call),
    );
  }

  #arguments({ args, named, more_args, more_named }: CallArguments): Arguments {
    const values = args.map((arg) => this.#value(arg));
    const by_name = new Map(named.map(({ name, value }) => [name, this.#value(value)]));
    if (more_args !== null) quiet(() => values.push(...each(this.#value(more_args))));
    if (more_named !== null) throw new NoConstant();
    return { args: values, named: by_name };
  }

  #item({ node, key }: Expression & { kind: "Item" }): Value {
    const object = this.#value(node);
    if (key.kind !== "Slice") return getItem(object, this.#value(key));
    const part = (one: Expression | null) => (one === null ? null : this.#value(one));
    const [start, stop, step] = [part(key.start), part(key.stop), part(key.step)];
    try {
      return getSlice(object, start, stop, step);
    } catch (error) {
      if (isFault(error, "TypeError", "KeyError", "IndexError")) return Undefined.of(object, "slice");
      throw error;
    }
  }
}

/** What fails here fails when it runs. */
function quiet<T>(compute: () => T): T {
  try {
    return compute();
  } catch (error) {
    if (error instanceof Fault) throw new NoConstant();
    throw error;
  }
}

/** Whether Python can write a constant down. */
function isWritable(value: Value): boolean {
  if (value instanceof Tuple) return value.constructor === Tuple && value.values.every(isWritable);
  if (value instanceof List) return value.values.every(isWritable);
  if (value instanceof Dict)
    return [...value.entries].every(([key, item]) => isWritable(key) && isWritable(item));
  return value === null || typeof value !== "object" || value instanceof Str || value instanceof Range;
}
