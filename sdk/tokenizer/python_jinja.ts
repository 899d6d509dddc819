import { Environment, Interpreter } from "@huggingface/jinja";
import {
  type Call,
  checkLength,
  contains,
  FILTERS,
  itemsOf,
  LONGEST_LIST,
  LONGEST_TEXT,
  plainTest,
  test,
} from "./python_filters.ts";
import { TEXT_METHODS } from "./python_methods.ts";
import {
  dictOf,
  equal,
  functionOf,
  isDict,
  isList,
  isNumber,
  isText,
  listOf,
  str,
  undefinedValue,
  type Value,
  wrap,
} from "./python_values.ts";

/** A node of a parsed template. */
export interface Node {
  type: string;
  [field: string]: unknown;
}

/** The library's interpreter as it is inside: its declarations hide most of this. */
interface Internals {
  evaluate(node: Node | undefined, scope: Scope): Value;
  evaluateArguments(args: Node[], scope: Scope): [Value[], Map<string, Value>];
  evaluateBlock(statements: Node[], scope: Scope): Value;
  evaluateBinaryExpression(node: Node, scope: Scope): Value;
  evaluateCallExpression(node: Node, scope: Scope): Value;
  evaluateMemberExpression(node: Node, scope: Scope): Value;
  evaluateTestExpression(node: Node, scope: Scope): Value;
  evaluateFor(node: Node, scope: Scope): Value;
  applyFilter(operand: Value, filter: Node, scope: Scope): Value;
}

interface Scope {
  setVariable(name: string, value: Value): void;
}

const Library = Interpreter as unknown as new (scope: Scope) => Internals;
const makeScope = (parent?: Scope): Scope =>
  new Environment(parent as unknown as Environment) as unknown as Scope;

/** Steps a rendering may take: hundreds of times what long chats need, and seconds at most. */
const MOST_STEPS = 1_000_000;
/** What a turn of a loop costs, its body aside. */
const STEPS_A_TURN = 4;
/** Characters made that cost a step. */
const CHARACTERS_A_STEP = 256;

/** `{% break %}` and `{% continue %}`, with what the loop's body had printed. */
class LoopControl extends Error {
  printed = "";
  readonly ends: boolean;
  constructor(ends: boolean) {
    super(ends ? "break outside of a loop" : "continue outside of a loop");
    this.ends = ends;
  }
}

/** A node that stands for a value already known. */
const held = (value: Value): Node => ({ type: "Held", value });

/**
 * The library's interpreter, brought to what Jinja in Python does where they differ: how values print, compare and
 * turn into JSON, text in code points, filters, methods, loops. And bounded: a template comes with a model from
 * anywhere, and may neither run for ever nor fill the memory.
 */
export class PythonInterpreter extends Library {
  #steps = 0;
  readonly #spend = (units: number): void => {
    this.#steps += units;
    if (this.#steps > MOST_STEPS) throw new Error(`more than ${MOST_STEPS} steps`);
  };

  override evaluate(node: Node | undefined, scope: Scope): Value {
    this.#spend(1);
    switch (node?.type) {
      case "Held":
        return node.value as Value;
      case "Break":
        throw new LoopControl(true);
      case "Continue":
        throw new LoopControl(false);
      case "Identifier":
      case "StringLiteral":
        return super.evaluate(node, scope);
      default:
        return this.#bounded(super.evaluate(node, scope));
    }
  }

  /** Charges for what was made. */
  #bounded(value: Value): Value {
    if (isText(value)) {
      checkLength(value.value.length);
      this.#spend(value.value.length / CHARACTERS_A_STEP);
    } else if (isList(value)) {
      if (value.value.length > LONGEST_LIST) throw new Error(`a list of more than ${LONGEST_LIST} items`);
      this.#spend(value.value.length / 16);
    }
    return value;
  }

  override evaluateBlock(statements: Node[], scope: Scope): Value {
    let printed = "";
    for (const statement of statements) {
      try {
        const value = this.evaluate(statement, scope);
        // A statement gives none; an expression that is None prints itself.
        if (value.type !== "NullValue" || EXPRESSIONS.has(statement.type)) printed += str(value, this.#spend);
      } catch (error) {
        if (error instanceof LoopControl) error.printed = printed + error.printed;
        throw error;
      }
      if (printed.length > LONGEST_TEXT) checkLength(printed.length);
    }
    return wrap(printed);
  }

  override evaluateFor(node: Node, scope: Scope): Value {
    const inner = makeScope(scope);
    const select = (node.iterable as Node).type === "SelectExpression" ? (node.iterable as Node) : undefined;
    const all = itemsOf(this.evaluate((select?.lhs ?? node.iterable) as Node, inner));
    const assign = (item: Value) => {
      this.#spend(STEPS_A_TURN);
      this.#assign(node.loopvar as Node, item, inner);
    };
    const items = all.filter((item) => {
      if (select === undefined) return true;
      assign(item);
      return this.evaluate(select.test as Node, inner).__bool__().value;
    });
    if (items.length === 0) return this.evaluateBlock(node.defaultBlock as Node[], inner);
    let printed = "";
    for (const [index, item] of items.entries()) {
      // What one turn sets is gone in the next.
      const turn = makeScope(scope);
      turn.setVariable("loop", loopValue(items, index));
      this.#spend(STEPS_A_TURN);
      this.#assign(node.loopvar as Node, item, turn);
      try {
        printed += this.evaluateBlock(node.body as Node[], turn).value;
      } catch (error) {
        if (!(error instanceof LoopControl)) throw error;
        printed += error.printed;
        if (error.ends) break;
      }
      checkLength(printed.length);
    }
    return wrap(printed);
  }

  #assign(target: Node, item: Value, scope: Scope): void {
    if (target.type === "Identifier") {
      scope.setVariable(String(target.value), item);
      return;
    }
    const names = target.value as Node[];
    const parts = itemsOf(item);
    if (parts.length !== names.length)
      throw new Error(`too ${parts.length < names.length ? "few" : "many"} values to unpack`);
    for (const [i, name] of names.entries()) this.#assign(name, parts[i]!, scope);
  }

  override evaluateBinaryExpression(node: Node, scope: Scope): Value {
    const operator = (node.operator as { value: string }).value;
    if (operator === "and" || operator === "or") return super.evaluateBinaryExpression(node, scope);
    const left = this.evaluate(node.left as Node, scope);
    const right = this.evaluate(node.right as Node, scope);
    return (
      this.#operate(operator, left, right) ??
      super.evaluateBinaryExpression({ ...node, left: held(left), right: held(right) }, scope)
    );
  }

  /** The result where it is ours to compute. */
  #operate(operator: string, left: Value, right: Value): Value | undefined {
    switch (operator) {
      case "==":
        return wrap(equal(left, right, this.#spend));
      case "!=":
        return wrap(!equal(left, right, this.#spend));
      case "in":
        return wrap(contains(right, left, this.#spend));
      case "not in":
        return wrap(!contains(right, left, this.#spend));
      case "~":
        return wrap(this.#concatenated(str(left, this.#spend), str(right, this.#spend)));
      case "+":
        if (isText(left) && isText(right)) return wrap(this.#concatenated(left.value, right.value));
        if (isText(left) || isText(right)) throw new Error(`cannot add ${left.type} and ${right.type}`);
        return undefined;
      case "*":
        return isNumber(right)
          ? this.#repeated(left, right.value)
          : isNumber(left)
            ? this.#repeated(right, left.value)
            : undefined;
      case "%":
        if (!isNumber(left) || !isNumber(right)) return undefined;
        // The sign is the divisor's.
        if (right.value === 0) throw new Error("modulo by zero");
        return super.evaluateBinaryExpression(
          binary("-", left, binary("*", right, binary("//", left, right))),
          makeScope(),
        );
      case "/":
      case "//":
        if (isNumber(right) && right.value === 0) throw new Error("division by zero");
        return undefined;
      case "<":
      case ">":
      case "<=":
      case ">=":
        return isText(left) && isText(right)
          ? wrap(test(operator, left, right, this.#spend) === true)
          : undefined;
      default:
        return undefined;
    }
  }

  #concatenated(left: string, right: string): string {
    checkLength(left.length + right.length);
    return left + right;
  }

  #repeated(value: Value, count: number): Value | undefined {
    const times = Math.max(0, Math.trunc(count));
    if (isText(value)) {
      checkLength(value.value.length * times);
      return wrap(value.value.repeat(times));
    }
    if (!isList(value)) return undefined;
    if (value.value.length * times > LONGEST_LIST)
      throw new Error(`a list of more than ${LONGEST_LIST} items`);
    return listOf(Array.from({ length: times }, () => value.value).flat());
  }

  override evaluateCallExpression(node: Node, scope: Scope): Value {
    const callee = node.callee as Node;
    if (callee.type !== "MemberExpression" || callee.computed)
      return super.evaluateCallExpression(node, scope);
    const object = this.evaluate(callee.object as Node, scope);
    const name = String((callee.property as Node).value);
    if (isText(object) && Object.hasOwn(TEXT_METHODS, name)) {
      return TEXT_METHODS[name]!(object.value, this.#call(node.args as Node[], scope));
    }
    if (name === "cycle" && isDict(object) && object.value.has("index0")) {
      const { args } = this.#call(node.args as Node[], scope);
      return args[Number(object.value.get("index0")!.value) % args.length] ?? undefinedValue;
    }
    return super.evaluateCallExpression({ ...node, callee: { ...callee, object: held(object) } }, scope);
  }

  override evaluateMemberExpression(node: Node, scope: Scope): Value {
    const object = this.evaluate(node.object as Node, scope);
    const property = node.property as Node;
    if (!node.computed || property.type === "SliceExpression") {
      return super.evaluateMemberExpression({ ...node, object: held(object) }, scope);
    }
    const key = this.evaluate(property, scope);
    if (isText(object) && key.type === "IntegerValue") {
      const char = Array.from(object.value).at(Number(key.value));
      return char === undefined ? undefinedValue : wrap(char);
    }
    if (isDict(object) && !isText(key)) return undefinedValue;
    if (object.type === "UndefinedValue" || object.type === "NullValue") {
      if (object.type === "NullValue") return undefinedValue;
      throw new Error("an undefined value has no parts");
    }
    return super.evaluateMemberExpression({ ...node, object: held(object), property: held(key) }, scope);
  }

  override evaluateTestExpression(node: Node, scope: Scope): Value {
    const operand = this.evaluate(node.operand as Node, scope);
    const name = String((node.test as Node).value);
    const result = test(name, operand, undefined, this.#spend) ?? plainTest(name, operand);
    return wrap(result !== (node.negate === true));
  }

  override applyFilter(operand: Value, filter: Node, scope: Scope): Value {
    const is_call = filter.type === "CallExpression";
    const name = String((is_call ? (filter.callee as Node) : filter).value);
    if (!Object.hasOwn(FILTERS, name)) return super.applyFilter(operand, filter, scope);
    return FILTERS[name]!(operand, this.#call(is_call ? (filter.args as Node[]) : [], scope));
  }

  #call(nodes: Node[], scope: Scope): Call {
    const [args, named] = this.evaluateArguments(nodes, scope);
    const filter = (name: string, operand: Value, more: Value[]) => {
      const args_held = more.map(held);
      const called = { type: "CallExpression", callee: { type: "Identifier", value: name }, args: args_held };
      return this.applyFilter(operand, args_held.length === 0 ? called.callee : called, scope);
    };
    return { args, named, spend: this.#spend, filter };
  }
}

/** Statements whose value prints, None included. */
const EXPRESSIONS = new Set([
  "Identifier",
  "MemberExpression",
  "CallExpression",
  "BinaryExpression",
  "FilterExpression",
  "Ternary",
  "NullLiteral",
]);

function binary(operator: string, left: Value | Node, right: Value | Node): Node {
  const side = (one: Value | Node) => ("__bool__" in one ? held(one as Value) : (one as Node));
  return { type: "BinaryExpression", operator: { value: operator }, left: side(left), right: side(right) };
}

function loopValue(items: readonly Value[], index: number): Value {
  const { length } = items;
  return dictOf(
    new Map([
      ["index", wrap(index + 1)],
      ["index0", wrap(index)],
      ["revindex", wrap(length - index)],
      ["revindex0", wrap(length - index - 1)],
      ["first", wrap(index === 0)],
      ["last", wrap(index === length - 1)],
      ["length", wrap(length)],
      ["previtem", items[index - 1] ?? undefinedValue],
      ["nextitem", items[index + 1] ?? undefinedValue],
    ]),
  );
}

/** A scope with what templates find in it: Jinja's own names, transformers' functions, and the caller's variables. */
export function globalScope(
  variables: Readonly<Record<string, unknown>>,
  functions: Readonly<Record<string, (...args: unknown[]) => unknown>>,
): Scope {
  const scope = makeScope();
  const constants = { true: true, True: true, false: false, False: false, none: null, None: null };
  for (const [name, value] of Object.entries(constants)) scope.setVariable(name, wrap(value));
  scope.setVariable("range", functionOf(range));
  scope.setVariable(
    "dict",
    functionOf((args) => args.find(isDict) ?? wrap({})),
  );
  for (const [name, run] of Object.entries(functions)) {
    scope.setVariable(
      name,
      functionOf((args) => wrap(run(...args.map((arg) => arg.value)) ?? null)),
    );
  }
  for (const [name, value] of Object.entries(variables)) scope.setVariable(name, wrap(value));
  return scope;
}

/** Python's `range`, as a list. */
function range(args: Value[]): Value {
  const numbers = args.filter(isNumber).map((arg) => arg.value);
  if (numbers.length !== args.length || numbers.length === 0) throw new Error("range needs numbers");
  const [start, stop, step = 1] =
    numbers.length === 1 ? [0, numbers[0]!] : (numbers as [number, number, number?]);
  if (step === 0) throw new Error("range() arg 3 must not be zero");
  const count = Math.max(0, Math.ceil((stop - start) / step));
  if (count > LONGEST_LIST) throw new Error(`a list of more than ${LONGEST_LIST} items`);
  return listOf(Array.from({ length: count }, (_, i) => wrap(start + i * step)));
}
