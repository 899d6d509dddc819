import { itemAt } from "../../../../models/certain.ts";
import { charge, type Filter, type FilterContext } from "../filters/filter.ts";
import { FILTERS } from "../filters/index.ts";
import { TESTS } from "../filters/tests.ts";
import { Fault, typeError } from "../python/errors.ts";
import { type Arguments, PyObject, type Value } from "../python/object.ts";
import { Str, StrBuilder } from "../python/text/str.ts";
import { Undefined } from "../python/undefined.ts";

/** A variable that holds nothing yet. */
export const MISSING: unique symbol = Symbol("missing");

/** Names that a block or the template itself looks up: what it has set so far, then what it was given. */
export class Context {
  readonly #given: ReadonlyMap<string, Value>;
  readonly set = new Map<string, Value>();

  constructor(given: ReadonlyMap<string, Value>) {
    this.#given = given;
  }

  resolve(name: string): Value | typeof MISSING {
    const names = this.set.has(name) ? this.set : this.#given;
    const found = names.get(name);
    return found === undefined ? MISSING : found;
  }

  /** A context for a block that sees the variables around it, too. */
  derived(variables: ReadonlyMap<string, Value>): Context {
    return new Context(new Map([...this.#given, ...this.set, ...variables]));
  }
}

/** A function that runs: the template, a block, a macro, a recursive loop. Inner ones see the variables of outer ones. */
export class Activation {
  readonly rendering: Rendering;
  readonly context: Context;
  readonly #outer: Activation | null;
  readonly #variables = new Map<string, Value | typeof MISSING>();
  /** What is printed, by the number of the buffer. */
  readonly #buffers: StrBuilder[] = [];
  /** What a call block hands to the macro that it calls. */
  caller: Value = null;

  constructor(rendering: Rendering, context: Context, outer: Activation | null) {
    this.rendering = rendering;
    this.context = context;
    this.#outer = outer;
  }

  get(variable: string): Value | typeof MISSING {
    for (let at: Activation | null = this; at !== null; at = at.#outer) {
      const found = at.#variables.get(variable);
      if (found !== undefined) return found;
    }
    return MISSING;
  }

  set(variable: string, value: Value | typeof MISSING): void {
    this.#variables.set(variable, value);
  }

  /** Names with what their variables hold, but for those that hold nothing. */
  values(variables: readonly (readonly [name: string, variable: string])[]): Map<string, Value> {
    const found = new Map<string, Value>();
    for (const [name, variable] of variables) {
      const value = this.get(variable);
      if (value !== MISSING) found.set(name, value);
    }
    return found;
  }

  open(buffer: number): void {
    this.#buffers[buffer] = new StrBuilder();
  }

  print(buffer: number, text: Str): void {
    itemAt(this.#buffers, buffer).add(text);
  }

  printed(buffer: number): Str {
    return itemAt(this.#buffers, buffer).done();
  }
}

/** A block's body, run in a context. */
export type RunBlock = (rendering: Rendering, context: Context) => Str;

/** One rendering of a template. */
export class Rendering implements FilterContext {
  readonly blocks: ReadonlyMap<string, RunBlock>;
  /** Whether what is printed is escaped: `{% autoescape %}`. */
  autoescape = false;

  constructor(blocks: ReadonlyMap<string, RunBlock>) {
    this.blocks = blocks;
  }

  filter(name: Value, value: Value, call: Arguments): Value {
    const filter = filterNamed(name);
    charge(value);
    return filter(value, call, this);
  }

  test(name: Value, value: Value, call: Arguments): boolean {
    const test = name instanceof Str ? TESTS.get(name.value) : undefined;
    if (test === undefined) throw unknown("test", name);
    charge(value);
    return test(value, call, this);
  }

  hasFilter(name: string): boolean {
    return FILTERS.has(name);
  }

  hasTest(name: string): boolean {
    return TESTS.has(name);
  }
}

function filterNamed(name: Value): Filter {
  const filter = name instanceof Str ? FILTERS.get(name.value) : undefined;
  if (filter === undefined) throw unknown("filter", name);
  return filter;
}

export function unknown(kind: "filter" | "test", name: Value): Fault {
  const shown = name instanceof Str ? `'${name.value}'` : "that name";
  return new Fault("TemplateRuntimeError", `no ${kind} named ${shown}`);
}

/** What blocks print must be a text already. */
export function printable(value: Value): Str {
  if (value instanceof Str) return value;
  throw typeError("sequence item 0: expected str instance");
}

/** A block by its name: `self.title()`, `super()`. */
class BlockReference extends PyObject {
  readonly type = "BlockReference";
  readonly #name: string;
  readonly #run: () => Str;

  constructor(name: string, run: () => Str) {
    super();
    this.#name = name;
    this.#run = run;
  }

  override call(): Value {
    return this.#run();
  }

  override get is_callable(): boolean {
    return true;
  }

  override attribute(name: string): Value | undefined {
    if (name === "super") return noParent(this.#name);
    return name === "name" ? new Str(this.#name) : undefined;
  }

  repr(): Str {
    return new Str("<BlockReference>");
  }
}

export function noParent(name: string): Undefined {
  return new Undefined(`there is no parent block called '${name}'.`);
}

/** `self`: the template's blocks. */
export class TemplateReference extends PyObject {
  readonly type = "TemplateReference";
  readonly #rendering: Rendering;
  readonly #context: Context;

  constructor(rendering: Rendering, context: Context) {
    super();
    this.#rendering = rendering;
    this.#context = context;
  }

  override item(key: Value): Value {
    const run = key instanceof Str ? this.#rendering.blocks.get(key.value) : undefined;
    if (run === undefined) throw new Fault("KeyError", "no such block");
    const markup = (text: Str) => text.as(this.#rendering.autoescape);
    return new BlockReference((key as Str).value, () => markup(run(this.#rendering, this.#context)));
  }

  repr(): Str {
    return new Str("<TemplateReference None>");
  }
}
