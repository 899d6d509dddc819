import { Fault } from "../python/errors.ts";
import { Activation, noParent, type RunBlock, TemplateReference } from "../runtime/rendering.ts";
import type { BlockNode, Statement } from "../syntax/nodes.ts";
import type { Compiler } from "./compiler.ts";
import { CompileFrame } from "./frame.ts";
import { enterScope } from "./scopes.ts";
import { descendants, readNames } from "./walk.ts";

/** Compiles the template itself and its blocks: functions with variables of their own. */
export class BlockCompiler {
  readonly #compiler: Compiler;
  readonly #blocks = new Map<string, BlockNode>();

  constructor(compiler: Compiler) {
    this.#compiler = compiler;
  }

  find(statements: readonly Statement[]): void {
    for (const node of descendants(statements)) {
      if (node.kind !== "Block") continue;
      if (this.#blocks.has(node.name))
        throw new Fault("TemplateSyntaxError", `block '${node.name}' defined twice`, node.line);
      this.#blocks.set(node.name, node);
    }
  }

  root(statements: readonly Statement[], frame: CompileFrame): RunBlock {
    const read = readNames(statements, ["self"]);
    return this.#compile(statements, frame, read, "");
  }

  bodies(): Map<string, RunBlock> {
    const made = new Map<string, RunBlock>();
    for (const [name, { body }] of this.#blocks) {
      const read = readNames(body, ["self", "super"]);
      made.set(name, this.#compile(body, CompileFrame.root(false), read, name));
    }
    return made;
  }

  #compile(
    body: readonly Statement[],
    frame: CompileFrame,
    read: ReadonlySet<string>,
    name: string,
  ): RunBlock {
    const self = read.has("self") ? frame.symbols.parameter("self") : undefined;
    const parent = read.has("super") ? frame.symbols.parameter("super") : undefined;
    frame.symbols.visit(body);
    const enter = enterScope(frame.symbols);
    const run = this.#compiler.body(body, frame);
    return (rendering, context) => {
      const at = new Activation(rendering, context, null);
      if (self !== undefined) at.set(self, new TemplateReference(rendering, context));
      if (parent !== undefined) at.set(parent, noParent(name));
      enter(at);
      at.open(frame.buffer);
      run(at);
      return at.printed(frame.buffer);
    };
  }
}
