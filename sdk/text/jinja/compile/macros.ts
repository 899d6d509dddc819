import { itemAt } from "../../../../models/certain.ts";
import { Fault } from "../python/errors.ts";
import type { Value } from "../python/object.ts";
import { Undefined } from "../python/undefined.ts";
import { Macro, type Signature } from "../runtime/macro.ts";
import { Activation, MISSING, printable } from "../runtime/rendering.ts";
import type { CallBlockNode, MacroNode, Statement } from "../syntax/nodes.ts";
import type { Compiler, Execute } from "./compiler.ts";
import type { CompileFrame } from "./frame.ts";
import { locatedAt } from "./lines.ts";
import { enterScope } from "./scopes.ts";
import { readNames } from "./walk.ts";

type GenerationNode = Statement & { kind: "Generation" };

export function compileMacro(compiler: Compiler, node: MacroNode, frame: CompileFrame): Execute {
  const make = compileBody(compiler, node, node.name, frame);
  const variable = frame.symbols.variable(node.name);
  return (at) => {
    const macro = make(at);
    at.set(variable, macro);
    if (frame.is_toplevel) at.context.set.set(node.name, macro);
    return "next";
  };
}

/** `{% call %}`, and `{% generation %}`, which prints its own body. */
export function compileCallBlock(
  compiler: Compiler,
  node: CallBlockNode | GenerationNode,
  frame: CompileFrame,
): Execute {
  const make = compileBody(compiler, node, null, frame);
  if (node.kind === "Generation") {
    return (at) => {
      at.print(frame.buffer, printable(make(at).call({ args: [], named: new Map() })));
      return "next";
    };
  }
  const call = compiler.expressions.call(node.call, frame, true);
  return (at) => {
    at.caller = make(at);
    at.print(frame.buffer, printable(call(at)));
    return "next";
  };
}

type Callable = MacroNode | CallBlockNode | GenerationNode;

/** A macro's function; it sees the variables around it as they are when it runs. */
function compileBody(
  compiler: Compiler,
  node: Callable,
  name: string | null,
  frame: CompileFrame,
): (at: Activation) => Macro {
  const inner = frame.function();
  const { symbols } = inner;
  const nodes = [...node.args, ...node.defaults, ...node.body];
  symbols.visit(nodes);
  const args = node.args.map((arg) => arg.name);
  refuseTwice(args, node.line);
  const parameters = args.map((arg) => symbols.variable(arg));
  const signature = signatureOf(node, name, args);
  if (signature.takes_caller && !args.includes("caller")) parameters.push(symbols.parameter("caller"));
  if (signature.takes_named) parameters.push(symbols.parameter("kwargs"));
  if (signature.takes_more) parameters.push(symbols.parameter("varargs"));
  symbols.visit(nodes);
  const enter = enterScope(symbols);
  const defaults = compileDefaults(compiler, node, args, inner);
  const body = compiler.body(node.body, inner);
  return (at) =>
    new Macro(
      signature,
      (values) => {
        const activation = new Activation(at.rendering, at.context, at);
        for (const [i, parameter] of parameters.entries()) activation.set(parameter, itemAt(values, i));
        activation.open(inner.buffer);
        enter(activation);
        for (const [i, fallback] of defaults.entries()) {
          const parameter = itemAt(parameters, i);
          if (activation.get(parameter) === MISSING) activation.set(parameter, fallback(activation));
        }
        body(activation);
        return activation.printed(inner.buffer);
      },
      at.rendering,
    );
}

/** What each parameter is where the call gives nothing. */
function compileDefaults(
  compiler: Compiler,
  { defaults, line }: Callable,
  args: readonly string[],
  frame: CompileFrame,
): ((at: Activation) => Value)[] {
  return args.map((arg, i) => {
    const fallback = defaults[i - args.length + defaults.length];
    if (fallback === undefined) return () => new Undefined(`parameter '${arg}' was not provided`);
    return locatedAt(line, compiler.expressions.compile(fallback, frame));
  });
}

function signatureOf(node: Callable, name: string | null, args: readonly string[]): Signature {
  const read = readNames(node.body, ["caller", "kwargs", "varargs"]);
  const explicit = args.indexOf("caller");
  if (read.has("caller") && explicit >= 0 && args.length - explicit > node.defaults.length) {
    const message = 'the special "caller" argument must be omitted or be given a default';
    throw new Fault("TemplateSyntaxError", message, node.line);
  }
  return {
    name,
    args,
    takes_caller: read.has("caller"),
    takes_named: read.has("kwargs") && !args.includes("kwargs"),
    takes_more: read.has("varargs") && !args.includes("varargs"),
  };
}

function refuseTwice(names: readonly string[], line: number): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new Fault("TemplateSyntaxError", `the argument '${twice}' stands twice`, line);
}
