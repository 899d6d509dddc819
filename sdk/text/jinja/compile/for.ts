import { deeper, spend } from "../python/budget.ts";
import { Iter } from "../python/collections.ts";
import { Fault } from "../python/errors.ts";
import type { Value } from "../python/object.ts";
import { iterate, truth } from "../python/protocols.ts";
import type { Str } from "../python/text/str.ts";
import { Loop } from "../runtime/loop.ts";
import { Activation, MISSING } from "../runtime/rendering.ts";
import type { ForNode } from "../syntax/nodes.ts";
import type { Compiler, Execute } from "./compiler.ts";
import type { CompileFrame } from "./frame.ts";
import { assign, enterScope, heldBy, leaveScope } from "./scopes.ts";
import { children, descendants, readNames } from "./walk.ts";

/** What one pass over items does. */
type Pass = (
  at: Activation,
  items: Value,
  depth: number,
  recurse: ((items: Value, depth: number) => Str) | null,
) => ReturnType<Execute>;

export function compileFor(compiler: Compiler, node: ForNode, frame: CompileFrame): Execute {
  // A recursive loop is a function that can be called again.
  const around = node.is_recursive ? frame.function() : frame;
  const pass = compilePass(compiler, node, frame, around);
  const iterable = compiler.expressions.compile(node.iterable, frame);
  if (!node.is_recursive) return (at) => pass(at, iterable(at), 0, null);
  const { autoescape } = compiler.expressions.escaping;
  return (at) => {
    const recurse = (items: Value, depth: number): Str =>
      deeper(() => {
        const inner = new Activation(at.rendering, at.context, at);
        inner.open(around.buffer);
        pass(inner, items, depth, recurse);
        return inner.printed(around.buffer).as(autoescape);
      });
    at.print(frame.buffer, recurse(iterable(at), 0));
    return "next";
  };
}

function compilePass(compiler: Compiler, node: ForNode, frame: CompileFrame, around: CompileFrame): Pass {
  const { fn, buffer } = around;
  const loop_frame = frame.inner({ fn, buffer, is_in_loop: true });
  const needs_loop = node.is_recursive || readNames(node.body, ["loop"]).has("loop") || hasScopedBlock(node);
  const loop_variable = needs_loop ? loop_frame.symbols.parameter("loop") : undefined;
  loop_frame.symbols.visitFor(node, "body");
  refuseLoopNames(node);
  const filtered = compileTest(compiler, node, frame, loop_frame);
  const bind = assign(node.target, loop_frame.symbols);
  const [enter, leave] = [enterScope(loop_frame.symbols), leaveScope(loop_frame.symbols)];
  const body = compiler.body(node.body, loop_frame);
  const otherwise = compileElse(compiler, node, frame, around);
  return (at, items, depth, recurse) => {
    if (loop_variable !== undefined) at.set(loop_variable, MISSING);
    const kept = filtered === null ? items : new Iter(filtered(at, items));
    const loop = needs_loop ? new Loop(kept, recurse, depth) : null;
    const iterator = loop ?? iterate(kept);
    // As in jinja2, a turn counts once its end is reached: after `continue` alone the else runs.
    let is_empty = true;
    for (;;) {
      const next = iterator instanceof Loop ? iterator.next() : fromIterator(iterator);
      if (next === null) break;
      spend(1);
      bind(at, next.value);
      if (loop_variable !== undefined && loop !== null) at.set(loop_variable, loop);
      enter(at);
      const completion = body(at);
      if (completion === "break") break;
      if (completion === "next") is_empty = false;
    }
    leave(at);
    return is_empty && otherwise !== null ? otherwise(at) : "next";
  };
}

function fromIterator(iterator: Iterator<Value>): { value: Value } | null {
  const next = iterator.next();
  return next.done ? null : { value: next.value };
}

/** `for x in items if test`: a function that gives those that pass, one by one. */
function compileTest(
  compiler: Compiler,
  node: ForNode,
  frame: CompileFrame,
  loop_frame: CompileFrame,
): ((at: Activation, items: Value) => Iterator<Value>) | null {
  if (node.test === null) return null;
  const test_frame = frame.function();
  test_frame.symbols.visitFor(node, "test");
  const enter = enterScope(test_frame.symbols);
  const test = compiler.expressions.compile(node.test, test_frame);
  const bind = assign(node.target, loop_frame.symbols);
  const value = heldBy(node.target, loop_frame.symbols);
  return function* (at, items) {
    const inner = new Activation(at.rendering, at.context, at);
    enter(inner);
    const iterator = iterate(items);
    for (let next = iterator.next(); !next.done; next = iterator.next()) {
      spend(1);
      bind(inner, next.value);
      if (truth(test(inner))) yield value(inner);
    }
  };
}

function compileElse(
  compiler: Compiler,
  node: ForNode,
  frame: CompileFrame,
  around: CompileFrame,
): Execute | null {
  if (node.otherwise.length === 0) return null;
  const { fn, buffer } = around;
  const is_in_loop = !node.is_recursive && frame.is_in_loop;
  const inner = frame.inner({ fn, buffer, is_in_loop });
  inner.symbols.visitFor(node, "otherwise");
  const [enter, leave] = [enterScope(inner.symbols), leaveScope(inner.symbols)];
  const body = compiler.body(node.otherwise, inner);
  return (at) => {
    enter(at);
    const completion = body(at);
    if (completion === "next") leave(at);
    return completion;
  };
}

function hasScopedBlock(node: ForNode): boolean {
  for (const one of descendants(children(node))) if (one.kind === "Block" && one.is_scoped) return true;
  return false;
}

function refuseLoopNames(node: ForNode): void {
  for (const one of descendants(children(node))) {
    if (one.kind === "Name" && one.context === "store" && one.name === "loop")
      throw new Fault(
        "TemplateSyntaxError",
        "Can't assign to special loop variable in for-loop target",
        one.line,
      );
  }
}
