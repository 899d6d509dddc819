import { callValue, getAttribute, getItem, getSlice } from "../access.ts";
import { charge } from "../filters/filter.ts";
import { FILTERS } from "../filters/index.ts";
import { TESTS } from "../filters/tests.ts";
import { spend } from "../python/budget.ts";
import { Dict, List, Tuple } from "../python/collections.ts";
import { Fault, typeError } from "../python/errors.ts";
import type { Arguments, Value } from "../python/object.ts";
import { operate, signed } from "../python/operators.ts";
import { each, str, truth } from "../python/protocols.ts";
import { escapeHtml } from "../python/text/markup.ts";
import { concat, Str } from "../python/text/str.ts";
import { Undefined } from "../python/undefined.ts";
import { type Activation, MISSING, unknown } from "../runtime/rendering.ts";
import type { CallArguments, CallNode, Expression, FilterNode } from "../syntax/nodes.ts";
import { compare } from "./compare.ts";
import { type Escaping, Folder } from "./fold.ts";
import type { CompileFrame } from "./frame.ts";

/** An expression, compiled. */
export type Get = (at: Activation) => Value;
export type GetArguments = (at: Activation) => Arguments;

/** Compiles expressions into functions. */
export class ExpressionCompiler {
  #folder = new Folder({ autoescape: false, is_volatile: false });
  #escaping: Escaping = { autoescape: false, is_volatile: false };

  /** Whether text is escaped where the compiler stands. */
  get escaping(): Escaping {
    return this.#escaping;
  }

  set escaping(escaping: Escaping) {
    this.#escaping = escaping;
    this.#folder = new Folder(escaping);
  }

  /** What a constant expression prints. */
  printed(node: Expression): Value | undefined {
    return this.#folder.printed(node);
  }

  /** @throws Fault `TemplateSyntaxError` for filters and tests that are not there, and arguments given twice */
  compile(node: Expression, frame: CompileFrame): Get {
    const constant = this.#folder.optimized(node);
    return constant === undefined ? this.#compile(node, frame) : constantGet(constant);
  }

  #compile(node: Expression, frame: CompileFrame): Get {
    switch (node.kind) {
      case "Const":
        return constantGet(node.value);
      case "Data":
        return constantGet(new Str(node.text));
      case "Name":
        return nameGet(node.name, frame.symbols.variable(node.name));
      case "Tuple": {
        const items = this.#all(node.items, frame);
        return (at) => new Tuple(items.map((item) => item(at)));
      }
      case "List": {
        const items = this.#all(node.items, frame);
        return (at) => new List(items.map((item) => item(at)));
      }
      case "Dict": {
        const items = node.items.map(
          ({ key, value }) => [this.compile(key, frame), this.compile(value, frame)] as const,
        );
        return (at) => new Dict(items.map(([key, value]) => [key(at), value(at)] as const));
      }
      case "Conditional":
        return this.#conditional(node, frame.soft());
      case "Binary":
        return this.#binary(node, frame);
      case "Unary": {
        const value = this.compile(node.node, frame);
        const { operator } = node;
        return operator === "not" ? (at) => !truth(value(at)) : (at) => signed(operator, value(at));
      }
      case "Compare":
        return this.#compare(node, frame);
      case "Concat":
        return this.#concat(node, frame);
      case "Filter":
        return this.filter(node, frame);
      case "Test":
        return this.#test(node, frame);
      case "Call":
        return this.call(node, frame);
      case "Attribute": {
        const object = this.compile(node.node, frame);
        return (at) => {
          spend(1);
          return getAttribute(object(at), node.name);
        };
      }
      case "Item":
        return this.#item(node, frame);
      case "Slice":
      case "NamespaceRef":
        throw new Fault("TemplateSyntaxError", "a slice stands where none can", node.line);
      default:
        return node satisfies never;
    }
  }

  #all(nodes: readonly Expression[], frame: CompileFrame): Get[] {
    return nodes.map((node) => this.compile(node, frame));
  }

  #conditional(node: Expression & { kind: "Conditional" }, frame: CompileFrame): Get {
    const [test, then] = [this.compile(node.test, frame), this.compile(node.value, frame)];
    const message = `the inline if-expression on line ${node.line} evaluated to false and no else section was defined.`;
    const otherwise =
      node.otherwise === null ? () => new Undefined(message) : this.compile(node.otherwise, frame);
    return (at) => (truth(test(at)) ? then(at) : otherwise(at));
  }

  #binary({ operator, left, right }: Expression & { kind: "Binary" }, frame: CompileFrame): Get {
    const [first, second] = [this.compile(left, frame), this.compile(right, frame)];
    if (operator === "and" || operator === "or") {
      const goes_on = operator === "and";
      return (at) => {
        const value = first(at);
        return truth(value) === goes_on ? second(at) : value;
      };
    }
    return (at) => {
      spend(1);
      return operate(operator, first(at), second(at));
    };
  }

  /** `a < b < c`: each side is computed once, up to the first that fails. */
  #compare(node: Expression & { kind: "Compare" }, frame: CompileFrame): Get {
    const first = this.compile(node.node, frame);
    const rest = node.operands.map(({ operator, node: side }) => ({
      operator,
      side: this.compile(side, frame),
    }));
    return (at) => {
      let left = first(at);
      for (const { operator, side } of rest) {
        const right = side(at);
        if (!compare(operator, left, right)) return false;
        left = right;
      }
      return true;
    };
  }

  #concat({ nodes }: Expression & { kind: "Concat" }, frame: CompileFrame): Get {
    const parts = this.#all(nodes, frame);
    const { autoescape, is_volatile } = this.#escaping;
    // In a block whose escaping shows when it runs, jinja2 joins as in one that does not escape.
    const joins_markup = autoescape && !is_volatile;
    return (at) => {
      spend(1);
      const values = parts.map((part) => part(at));
      const is_markup = joins_markup && values.some((value) => value instanceof Str && value.is_markup);
      if (!is_markup) return concat(...values.map(str));
      return concat(...values.map(escapeHtml)).as(true);
    };
  }

  #item({ node, key }: Expression & { kind: "Item" }, frame: CompileFrame): Get {
    const object = this.compile(node, frame);
    if (key.kind !== "Slice") {
      const index = this.compile(key, frame);
      return (at) => {
        spend(1);
        return getItem(object(at), index(at));
      };
    }
    const part = (one: Expression | null) => (one === null ? () => null : this.compile(one, frame));
    const [start, stop, step] = [part(key.start), part(key.stop), part(key.step)];
    return (at) => {
      spend(1);
      return getSlice(object(at), start(at), stop(at), step(at));
    };
  }

  /** @param content of a block, where the filter stands at one */
  filter(node: FilterNode, frame: CompileFrame, content?: Get): Get {
    const filter = FILTERS.get(node.name);
    if (filter === undefined && !frame.is_soft) throw noSuch("filter", node.name, node.line);
    const inner = node.node === null ? content : this.#filtered(node.node, frame, content);
    const value = inner ?? (() => new Str(""));
    const call = this.arguments(node, frame);
    return (at) => {
      if (filter === undefined) throw unknown("filter", new Str(node.name));
      const filtered = value(at);
      charge(filtered);
      return filter(filtered, call(at), at.rendering);
    };
  }

  /** What a filter is applied to; the first of a block's filters takes its content. */
  #filtered(node: Expression, frame: CompileFrame, content: Get | undefined): Get {
    return content !== undefined && node.kind === "Filter"
      ? this.filter(node, frame, content)
      : this.compile(node, frame);
  }

  #test(node: Expression & { kind: "Test" }, frame: CompileFrame): Get {
    const test = TESTS.get(node.name);
    if (test === undefined && !frame.is_soft) throw noSuch("test", node.name, node.line);
    const value = this.compile(node.node, frame);
    const call = this.arguments(node, frame);
    return (at) => {
      if (test === undefined) throw unknown("test", new Str(node.name));
      const tested = value(at);
      charge(tested);
      return test(tested, call(at), at.rendering);
    };
  }

  /** @param with_caller hands over what the call block holds */
  call(node: CallNode, frame: CompileFrame, with_caller = false): Get {
    const callee = this.compile(node.node, frame);
    if (with_caller && node.named.some(({ name }) => name === "caller"))
      throw new Fault("TemplateSyntaxError", "the argument 'caller' is given twice", node.line);
    const call = this.arguments(node, frame);
    return (at) => {
      spend(1);
      const value = callee(at);
      const given = call(at);
      if (!with_caller) return callValue(value, given);
      return callValue(value, { ...given, named: new Map([...given.named, ["caller", at.caller]]) });
    };
  }

  arguments(node: CallArguments & { line: number }, frame: CompileFrame): GetArguments {
    const names = node.named.map(({ name }) => name);
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined)
      throw new Fault("TemplateSyntaxError", `the argument '${twice}' is given twice`, node.line);
    const args = this.#all(node.args, frame);
    const named = node.named.map(({ name, value }) => [name, this.compile(value, frame)] as const);
    const more_args = node.more_args === null ? null : this.compile(node.more_args, frame);
    const more_named = node.more_named === null ? null : this.compile(node.more_named, frame);
    if (args.length === 0 && named.length === 0 && more_args === null && more_named === null)
      return () => NOTHING;
    return (at) => {
      const values = args.map((arg) => arg(at));
      if (more_args !== null) values.push(...each(more_args(at)));
      const by_name = new Map<string, Value>();
      for (const [name, get] of named) by_name.set(name, get(at));
      if (more_named === null) return { args: values, named: by_name };
      return { args: values, named: by_name, keys: addNamed(by_name, more_named(at)) };
    };
  }
}

const NOTHING: Arguments = { args: [], named: new Map() };

function constantGet(value: Value): Get {
  // jinja2 writes such a number as a name that Python does not know.
  if (hasUnwritable(value)) {
    return () => {
      throw new Fault("TemplateRuntimeError", "name 'inf' is not defined");
    };
  }
  return () => value;
}

function hasUnwritable(value: Value): boolean {
  if (typeof value === "number") return !Number.isFinite(value);
  if (value instanceof List || value instanceof Tuple) return value.values.some(hasUnwritable);
  return (
    value instanceof Dict &&
    [...value.entries].some(([key, item]) => hasUnwritable(key) || hasUnwritable(item))
  );
}

function nameGet(name: string, variable: string): Get {
  return (at) => {
    const value = at.get(variable);
    return value === MISSING ? Undefined.ofName(name) : value;
  };
}

/** Adds `**more`; the names as they came. */
function addNamed(named: Map<string, Value>, more: Value): Map<string, Str> {
  if (!(more instanceof Dict)) throw typeError("argument after ** must be a mapping");
  const keys = new Map<string, Str>();
  for (const [key, value] of more.entries) {
    if (!(key instanceof Str)) throw typeError("keywords must be strings");
    if (named.has(key.value)) throw typeError(`got multiple values for keyword argument '${key.value}'`);
    named.set(key.value, value);
    keys.set(key.value, key);
  }
  return keys;
}

function noSuch(kind: "filter" | "test", name: string, line: number): Fault {
  return new Fault("TemplateSyntaxError", `No ${kind} named '${name}'.`, line);
}
