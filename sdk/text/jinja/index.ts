import { compile, type Program } from "./compile/compiler.ts";
import { withBudget } from "./python/budget.ts";
import { Fault } from "./python/errors.ts";
import type { Value } from "./python/object.ts";
import type { Str } from "./python/text/str.ts";
import type { Statement } from "./syntax/nodes.ts";
import { parse } from "./syntax/parser.ts";

export { fromPlain } from "./plain.ts";
export { Fault } from "./python/errors.ts";
export type { Value } from "./python/object.ts";
export { type Source, type SourceRun, Str } from "./python/text/str.ts";
export { makeGlobals } from "./runtime/objects.ts";

/** A template as jinja2 has it, in the environment that transformers makes for chat templates. */
export class Template {
  /** What the parser made of it. */
  readonly statements: readonly Statement[];
  readonly #program: Program;

  /** @throws Fault `TemplateSyntaxError` with the line */
  constructor(source: string) {
    this.statements = guarded(() => parse(source));
    this.#program = guarded(() => withBudget(() => compile(this.statements)));
  }

  /**
   * The template's text, which knows of each character whose it is.
   *
   * @throws Fault for what jinja2 raises, and beyond the bounds of steps and sizes
   */
  render(variables: ReadonlyMap<string, Value>): Str {
    return guarded(() => withBudget(() => this.#program(variables)));
  }
}

/** The stack's end comes as a RangeError wherever it is reached. */
function guarded<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof RangeError) throw new Fault("Bounds", "what is nested too deeply");
    throw error;
  }
}
