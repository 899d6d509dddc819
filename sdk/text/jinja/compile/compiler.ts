import { entryOf, itemAt } from "../../../../models/certain.ts";
import { spend } from "../python/budget.ts";
import { List, Tuple } from "../python/collections.ts";
import { Fault, typeError } from "../python/errors.ts";
import type { Value } from "../python/object.ts";
import { str, truth } from "../python/protocols.ts";
import { escapeHtml } from "../python/text/markup.ts";
import { Str } from "../python/text/str.ts";
import { Namespace } from "../runtime/objects.ts";
import { type Activation, Context, printable, Rendering } from "../runtime/rendering.ts";
import type { Expression, IfNode, SetBlockNode, Statement } from "../syntax/nodes.ts";
import { BlockCompiler } from "./blocks.ts";
import { ExpressionCompiler, type Get } from "./expressions.ts";
import { compileFor } from "./for.ts";
import { CompileFrame } from "./frame.ts";
import { locatedAt } from "./lines.ts";
import { compileCallBlock, compileMacro } from "./macros.ts";
import { assign, enterScope, exported, leaveScope } from "./scopes.ts";
import { descendants } from "./walk.ts";

/** How a statement ended: `{% break %}` and `{% continue %}` end those around it up to their loop. */
export type Completion = "next" | "break" | "continue";
/** A statement, compiled. */
export type Execute = (at: Activation) => Completion;

/** A template, ready to run. */
export type Program = (variables: ReadonlyMap<string, Value>) => Str;

/**
 * Compiles a template into functions: scopes and variables are settled here as jinja2 settles them, and what runs
 * knows no names.
 */
export function compile(statements: readonly Statement[]): Program {
  const compiler = new Compiler();
  const blocks = new BlockCompiler(compiler);
  blocks.find(statements);
  const run = blocks.root(statements, compiler.frame);
  const bodies = blocks.bodies();
  return (variables) => {
    const rendering = new Rendering(bodies);
    return run(rendering, new Context(variables));
  };
}

export class Compiler {
  readonly expressions = new ExpressionCompiler();
  readonly frame = CompileFrame.root(true);

  /** Statements one after another. */
  body(nodes: readonly Statement[], frame: CompileFrame): Execute {
    const runs = nodes.map((node) => locatedAt(node.line, this.#statement(node, frame)));
    return (at) => {
      for (const run of runs) {
        spend(1);
        const completion = run(at);
        if (completion !== "next") return completion;
      }
      return "next";
    };
  }

  #statement(node: Statement, frame: CompileFrame): Execute {
    switch (node.kind) {
      case "Output":
        return this.#output(node.nodes, frame);
      case "For":
        return compileFor(this, node, frame);
      case "If":
        return this.#if(node, frame.soft());
      case "Set":
        return this.#set(node, frame);
      case "SetBlock":
        return this.#setBlock(node, frame);
      case "Macro":
        return compileMacro(this, node, frame);
      case "CallBlock":
        return compileCallBlock(this, node, frame);
      case "Generation":
        return compileCallBlock(this, node, frame);
      case "FilterBlock":
        return this.#filterBlock(node, frame);
      case "With":
        return this.#with(node, frame);
      case "Block":
        return this.#block(node, frame);
      case "Autoescape":
        return this.#autoescape(node, frame);
      case "Break":
      case "Continue":
        return leap(node, frame);
      case "Extends":
      case "Include":
      case "Import":
        return this.#foreign(node, frame);
      default:
        return node satisfies never;
    }
  }

  #output(nodes: readonly Expression[], frame: CompileFrame): Execute {
    const parts = nodes.map((node) => this.#print(node, frame));
    return (at) => {
      for (const part of parts) at.print(frame.buffer, part(at));
      return "next";
    };
  }

  /** An expression as the text that it prints. */
  #print(node: Expression, frame: CompileFrame): (at: Activation) => Str {
    if (node.kind === "Data") {
      const text = new Str(node.text);
      return () => text;
    }
    const { autoescape, is_volatile } = this.expressions.escaping;
    const constant = this.expressions.printed(node);
    if (constant !== undefined) {
      const text = autoescape ? escapeHtml(constant) : str(constant);
      return () => text;
    }
    const get = this.expressions.compile(node, frame);
    const print = (at: Activation) => {
      const is_escaped = is_volatile ? at.rendering.autoescape : autoescape;
      const value = get(at);
      return is_escaped ? escapeHtml(value) : str(value);
    };
    return locatedAt(node.line, print);
  }

  #if(node: IfNode, frame: CompileFrame): Execute {
    const branches = [node, ...node.elifs].map(({ test, body, line }) => ({
      test: locatedAt(line, this.expressions.compile(test, frame)),
      run: this.body(body, frame),
    }));
    const otherwise = this.body(node.otherwise, frame);
    return (at) => {
      for (const { test, run } of branches) if (truth(test(at))) return run(at);
      return otherwise(at);
    };
  }

  #set(node: Statement & { kind: "Set" }, frame: CompileFrame): Execute {
    const value = this.expressions.compile(node.value, frame);
    const bind = assign(node.target, frame.symbols);
    const owners = [...descendants([node.target])].flatMap((one) =>
      one.kind === "NamespaceRef" ? [frame.symbols.variable(one.name)] : [],
    );
    const show = exported(node.target, frame);
    return (at) => {
      for (const owner of owners) {
        if (!(at.get(owner) instanceof Namespace))
          throw new Fault("TemplateRuntimeError", "cannot assign attribute on non-namespace object");
      }
      bind(at, value(at));
      show(at);
      return "next";
    };
  }

  #setBlock(node: SetBlockNode, frame: CompileFrame): Execute {
    const inner = frame.inner({ buffer: frame.fn.buffer() });
    inner.symbols.visit(node.body);
    const [enter, leave] = [enterScope(inner.symbols), leaveScope(inner.symbols)];
    const body = this.body(node.body, inner);
    const printed: Get = (at) => at.printed(inner.buffer);
    const value = node.filter === null ? printed : this.expressions.filter(node.filter, inner, printed);
    const bind = assign(node.target, frame.symbols);
    const show = exported(node.target, frame);
    return (at) => {
      enter(at);
      at.open(inner.buffer);
      const completion = body(at);
      if (completion !== "next") return completion;
      const made = value(at);
      bind(at, at.rendering.autoescape ? str(made).as(true) : made);
      show(at);
      leave(at);
      return "next";
    };
  }

  #filterBlock(node: Statement & { kind: "FilterBlock" }, frame: CompileFrame): Execute {
    const inner = frame.inner({ buffer: frame.fn.buffer() });
    inner.symbols.visit([...node.body, node.filter]);
    const [enter, leave] = [enterScope(inner.symbols), leaveScope(inner.symbols)];
    const body = this.body(node.body, inner);
    const { autoescape } = this.expressions.escaping;
    const filtered = this.expressions.filter(node.filter, inner, (at) =>
      at.printed(inner.buffer).as(autoescape || at.rendering.autoescape),
    );
    return (at) => {
      enter(at);
      at.open(inner.buffer);
      const completion = body(at);
      if (completion !== "next") return completion;
      at.print(frame.buffer, printable(filtered(at)));
      leave(at);
      return "next";
    };
  }

  #with(node: Statement & { kind: "With" }, frame: CompileFrame): Execute {
    const inner = frame.inner();
    inner.symbols.visit([...node.targets, ...node.body]);
    const [enter, leave] = [enterScope(inner.symbols), leaveScope(inner.symbols)];
    const bindings = node.targets.map((target, i) => ({
      bind: assign(target, inner.symbols),
      value: this.expressions.compile(itemAt(node.values, i), frame),
    }));
    const body = this.body(node.body, inner);
    return (at) => {
      enter(at);
      for (const { bind, value } of bindings) bind(at, value(at));
      const completion = body(at);
      if (completion === "next") leave(at);
      return completion;
    };
  }

  #block(node: Statement & { kind: "Block" }, frame: CompileFrame): Execute {
    const bound = [...frame.symbols.allBound()];
    return (at) => {
      if (node.is_required)
        throw new Fault("TemplateRuntimeError", `Required block '${node.name}' not found`);
      const run = entryOf(at.rendering.blocks, node.name);
      const context = node.is_scoped ? at.context.derived(at.values(bound)) : at.context;
      at.print(frame.buffer, run(at.rendering, context));
      return "next";
    };
  }

  #autoescape(node: Statement & { kind: "Autoescape" }, frame: CompileFrame): Execute {
    const outer = this.expressions.escaping;
    const inner = frame.inner();
    inner.symbols.visit([node.value, ...node.body]);
    const [enter, leave] = [enterScope(inner.symbols), leaveScope(inner.symbols)];
    const value = this.expressions.compile(node.value, inner);
    const constant = this.expressions.printed(node.value);
    this.expressions.escaping =
      constant === undefined ? { ...outer, is_volatile: true } : { ...outer, autoescape: truth(constant) };
    const body = this.body(node.body, inner);
    this.expressions.escaping = outer;
    return (at) => {
      enter(at);
      const was = at.rendering.autoescape;
      at.rendering.autoescape = truth(value(at));
      const completion = body(at);
      if (completion !== "next") return completion;
      at.rendering.autoescape = was;
      leave(at);
      return "next";
    };
  }

  /** Other templates: there are none to load. */
  #foreign(node: Statement & { kind: "Extends" | "Include" | "Import" }, frame: CompileFrame): Execute {
    if (node.kind === "Extends" && !frame.is_toplevel)
      throw new Fault("TemplateSyntaxError", "cannot use extend from a non top-level scope", node.line);
    const template = this.expressions.compile(node.template, frame);
    return (at) => {
      const name = template(at);
      const is_empty = (name instanceof List || name instanceof Tuple) && name.values.length === 0;
      if (node.kind === "Include" && node.ignores_missing && is_empty) return "next";
      throw typeError("no loader for this environment specified");
    };
  }
}

function leap(node: Statement & { kind: "Break" | "Continue" }, frame: CompileFrame): Execute {
  const completion = node.kind === "Break" ? "break" : "continue";
  if (!frame.is_in_loop) throw new Fault("TemplateSyntaxError", `'${completion}' outside loop`, node.line);
  return () => completion;
}
