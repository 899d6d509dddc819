import { itemAt, onlyOf } from "../../../../models/certain.ts";
import { parseFloating } from "../python/numbers.ts";
import { Str } from "../python/text/str.ts";
import type {
  BinaryOperator,
  CallArguments,
  CallNode,
  Comparison,
  Expression,
  FilterNode,
  Target,
} from "./nodes.ts";
import { describe, type TokenStream } from "./stream.ts";

interface TupleOptions {
  /** Names and literals only: the left side of `=`. */
  is_simple?: boolean;
  with_conditions?: boolean;
  in_parentheses?: boolean;
  with_namespace?: boolean;
}

/** Parses expressions, in jinja2's order of precedence. */
export class Expressions {
  readonly #stream: TokenStream;

  constructor(stream: TokenStream) {
    this.#stream = stream;
  }

  expression(with_conditions = true): Expression {
    return this.#stream.nested(() => (with_conditions ? this.#conditional() : this.#or()));
  }

  /** `a if b else c` */
  #conditional(): Expression {
    let { line } = this.#stream;
    let made = this.#or();
    while (this.#stream.skipName("if")) {
      const test = this.#or();
      const otherwise = this.#stream.skipName("else") ? this.#stream.nested(() => this.#conditional()) : null;
      made = { kind: "Conditional", test, value: made, otherwise, line };
      line = this.#stream.line;
    }
    return made;
  }

  #or(): Expression {
    return this.#binaryNames("or", () => this.#binaryNames("and", () => this.#not()));
  }

  #binaryNames(operator: "or" | "and", operand: () => Expression): Expression {
    let { line } = this.#stream;
    let left = operand();
    while (this.#stream.skipName(operator)) {
      left = { kind: "Binary", operator, left, right: operand(), line };
      line = this.#stream.line;
    }
    return left;
  }

  #not(): Expression {
    if (!this.#stream.isName("not")) return this.#compare();
    const { line } = this.#stream.next();
    return { kind: "Unary", operator: "not", node: this.#stream.nested(() => this.#not()), line };
  }

  #compare(): Expression {
    let { line } = this.#stream;
    const node = this.#sum();
    const operands: { operator: Comparison; node: Expression }[] = [];
    for (let operator = this.#comparison(); operator !== null; operator = this.#comparison()) {
      operands.push({ operator, node: this.#sum() });
      line = this.#stream.line;
    }
    return operands.length === 0 ? node : { kind: "Compare", node, operands, line };
  }

  #comparison(): Comparison | null {
    const stream = this.#stream;
    if (stream.isOperator("==", "!=", "<", "<=", ">", ">=")) return stream.next().text as Comparison;
    if (stream.skipName("in")) return "in";
    const { type, text } = stream.look();
    if (!stream.isName("not") || type !== "name" || text !== "in") return null;
    stream.next();
    stream.next();
    return "not in";
  }

  #sum(): Expression {
    return this.#binary(["+", "-"], () => this.#concat());
  }

  /** `~` binds more tightly than `+`. */
  #concat(): Expression {
    const { line } = this.#stream;
    const nodes = [this.#product()];
    while (this.#stream.skipOperator("~")) nodes.push(this.#product());
    return nodes.length === 1 ? onlyOf(nodes) : { kind: "Concat", nodes, line };
  }

  #product(): Expression {
    return this.#binary(["*", "/", "//", "%"], () => this.#binary(["**"], () => this.#unary()));
  }

  #binary(operators: readonly BinaryOperator[], operand: () => Expression): Expression {
    let { line } = this.#stream;
    let left = operand();
    while (this.#stream.isOperator(...operators)) {
      const operator = this.#stream.next().text as BinaryOperator;
      left = { kind: "Binary", operator, left, right: operand(), line };
      line = this.#stream.line;
    }
    return left;
  }

  /** A sign binds more tightly than `**`, and takes what is behind it without its filters. */
  #unary(with_filters = true): Expression {
    const { line } = this.#stream;
    let node: Expression;
    if (this.#stream.isOperator("-", "+")) {
      const operator = this.#stream.next().text as "-" | "+";
      node = { kind: "Unary", operator, node: this.#stream.nested(() => this.#unary(false)), line };
    } else node = this.primary();
    node = this.postfix(node);
    return with_filters ? this.#filters(node) : node;
  }

  primary(with_namespace = false): Expression {
    const stream = this.#stream;
    const { type, text, line } = stream.current;
    switch (type) {
      case "name":
        stream.next();
        return this.#name(text, line, with_namespace);
      case "string": {
        let value = "";
        while (stream.is("string")) value += stream.next().text;
        return { kind: "Const", value: new Str(value), line };
      }
      case "integer":
        stream.next();
        return { kind: "Const", value: BigInt(text.replaceAll("_", "")), line };
      case "float":
        stream.next();
        return { kind: "Const", value: parseFloating(text)!, line };
      default:
        if (stream.isOperator("(")) return this.#parenthesised();
        if (stream.isOperator("[")) return this.#list();
        if (stream.isOperator("{")) return this.#dict();
        throw stream.fault(`unexpected '${describe(stream.current)}'`);
    }
  }

  #name(name: string, line: number, with_namespace: boolean): Expression {
    if (name === "true" || name === "True") return { kind: "Const", value: true, line };
    if (name === "false" || name === "False") return { kind: "Const", value: false, line };
    if (name === "none" || name === "None") return { kind: "Const", value: null, line };
    if (with_namespace && this.#stream.skipOperator("."))
      return { kind: "NamespaceRef", name, attribute: this.#stream.expect("name").text, line };
    return { kind: "Name", name, context: "load", line };
  }

  #parenthesised(): Expression {
    this.#stream.next();
    const made = this.#stream.nested(() => this.tuple({ in_parentheses: true }));
    this.#stream.expect("operator", ")");
    return made;
  }

  /** Expressions with commas between them, or one. */
  tuple(options: TupleOptions = {}): Expression {
    const stream = this.#stream;
    const { is_simple = false, with_conditions = true, with_namespace = false } = options;
    let { line } = stream;
    const items: Expression[] = [];
    let is_tuple = false;
    for (;;) {
      if (items.length > 0) stream.expect("operator", ",");
      const is_end = stream.is("variable_end") || stream.is("block_end") || stream.isOperator(")");
      if (is_end) break;
      items.push(is_simple ? this.primary(with_namespace) : this.expression(with_conditions));
      if (!stream.isOperator(",")) break;
      is_tuple = true;
      line = stream.line;
    }
    if (!is_tuple && items.length > 0) return itemAt(items, 0);
    if (!is_tuple && options.in_parentheses !== true)
      throw stream.fault(`Expected an expression, got '${describe(stream.current)}'`);
    return { kind: "Tuple", items, line };
  }

  #list(): Expression {
    const { line } = this.#stream.next();
    const items: Expression[] = [];
    this.#listed("]", () => items.push(this.expression()));
    return { kind: "List", items, line };
  }

  #dict(): Expression {
    const { line } = this.#stream.next();
    const items: { key: Expression; value: Expression }[] = [];
    this.#listed("}", () => {
      const key = this.expression();
      this.#stream.expect("operator", ":");
      items.push({ key, value: this.expression() });
    });
    return { kind: "Dict", items, line };
  }

  /** Items with commas between them, one at the end allowed, and the bracket that closes them. */
  #listed(close: string, item: () => void): void {
    const stream = this.#stream;
    for (let is_first = true; !stream.isOperator(close); is_first = false) {
      if (!is_first) stream.expect("operator", ",");
      if (stream.isOperator(close)) break;
      item();
    }
    stream.expect("operator", close);
  }

  /** Attributes, items and calls behind an expression. */
  postfix(node: Expression): Expression {
    let made = node;
    for (;;) {
      if (this.#stream.isOperator(".")) made = this.#attribute(made);
      else if (this.#stream.isOperator("[")) made = this.#item(made);
      else if (this.#stream.isOperator("(")) made = this.#call(made);
      else return made;
    }
  }

  /** Filters, tests, and calls of what they gave. */
  #filters(node: Expression): Expression {
    let made = node;
    for (;;) {
      if (this.#stream.isOperator("|")) made = this.filter(made)!;
      else if (this.#stream.isName("is")) made = this.#test(made);
      else if (this.#stream.isOperator("(")) made = this.#call(made);
      else return made;
    }
  }

  #attribute(node: Expression): Expression {
    const { line } = this.#stream.next();
    const token = this.#stream.next();
    if (token.type === "name") return { kind: "Attribute", node, name: token.text, line };
    if (token.type !== "integer") throw this.#stream.fault("expected name or number", token.line);
    const key: Expression = {
      kind: "Const",
      value: BigInt(token.text.replaceAll("_", "")),
      line: token.line,
    };
    return { kind: "Item", node, key, line };
  }

  #item(node: Expression): Expression {
    const { line } = this.#stream.next();
    const keys: Expression[] = [];
    while (!this.#stream.isOperator("]")) {
      if (keys.length > 0) this.#stream.expect("operator", ",");
      keys.push(this.#key());
    }
    this.#stream.expect("operator", "]");
    const key: Expression = keys.length === 1 ? onlyOf(keys) : { kind: "Tuple", items: keys, line };
    return { kind: "Item", node, key, line };
  }

  /** An index, or a slice. */
  #key(): Expression {
    const stream = this.#stream;
    const { line } = stream;
    let start: Expression | null = null;
    if (!stream.isOperator(":")) {
      start = this.expression();
      if (!stream.isOperator(":")) return start;
    }
    stream.next();
    const part = () => (stream.isOperator("]", ",", ":") ? null : this.expression());
    const stop = part();
    const step = stream.skipOperator(":") && !stream.isOperator("]", ",") ? this.expression() : null;
    return { kind: "Slice", start, stop, step, line };
  }

  #call(node: Expression): CallNode {
    const { line } = this.#stream;
    return { kind: "Call", node, ...this.#callArguments(), line };
  }

  #callArguments(): CallArguments {
    const stream = this.#stream;
    const { line } = stream.expect("operator", "(");
    const made: CallArguments = { args: [], named: [], more_args: null, more_named: null };
    const check = (holds: boolean) => {
      if (!holds) throw stream.fault("invalid syntax for function call expression", line);
    };
    for (let is_first = true; !stream.isOperator(")"); is_first = false) {
      if (!is_first) stream.expect("operator", ",");
      if (!is_first && stream.isOperator(")")) break;
      if (stream.skipOperator("*")) {
        check(made.more_args === null && made.more_named === null);
        made.more_args = this.expression();
      } else if (stream.skipOperator("**")) {
        check(made.more_named === null);
        made.more_named = this.expression();
      } else if (stream.is("name") && stream.look().type === "operator" && stream.look().text === "=") {
        check(made.more_named === null);
        const name = stream.next().text;
        stream.next();
        made.named.push({ name, value: this.expression() });
      } else {
        check(made.more_args === null && made.more_named === null && made.named.length === 0);
        made.args.push(this.expression());
      }
    }
    stream.expect("operator", ")");
    return made;
  }

  /** Filters behind an expression, or of a block's content (null). `starts`: the first stands without its `|`. */
  filter(node: Expression | null, starts = false): FilterNode | null {
    let made: FilterNode | null = null;
    for (let is_first = starts; is_first || this.#stream.isOperator("|"); is_first = false) {
      if (!is_first) this.#stream.next();
      const { line } = this.#stream;
      const name = this.#dottedName();
      made = { kind: "Filter", node: made ?? node, name, ...this.#optionalArguments(), line };
    }
    return made;
  }

  #dottedName(): string {
    let name = this.#stream.expect("name").text;
    while (this.#stream.skipOperator(".")) name += `.${this.#stream.expect("name").text}`;
    return name;
  }

  #optionalArguments(): CallArguments {
    if (this.#stream.isOperator("(")) return this.#callArguments();
    return { args: [], named: [], more_args: null, more_named: null };
  }

  #test(node: Expression): Expression {
    const stream = this.#stream;
    const { line } = stream.next();
    const is_negated = stream.skipName("not");
    const name = this.#dottedName();
    const made: Expression = { kind: "Test", node, name, ...this.#testArguments(), line };
    return is_negated ? { kind: "Unary", operator: "not", node: made, line } : made;
  }

  /** Arguments in parentheses, or one without. */
  #testArguments(): CallArguments {
    const stream = this.#stream;
    const starts_value =
      stream.is("name") ||
      stream.is("string") ||
      stream.is("integer") ||
      stream.is("float") ||
      stream.isOperator("[", "{");
    if (!starts_value || stream.isName("else", "or", "and")) return this.#optionalArguments();
    if (stream.isName("is")) throw stream.fault("You cannot chain multiple tests with is");
    const arg = this.postfix(this.primary());
    return { args: [arg], named: [], more_args: null, more_named: null };
  }

  /** What stands left of `=`, or between `for` and `in`. */
  target(with_namespace = false): Target {
    const made = this.tuple({ is_simple: true, with_namespace });
    return this.#assignable(made, "store");
  }

  targetName(context: "store" | "param" = "store"): { name: string; line: number } {
    const { text, line } = this.#stream.expect("name");
    this.#assignable({ kind: "Name", name: text, context, line }, context);
    return { name: text, line };
  }

  #assignable(node: Expression, context: "store" | "param"): Target {
    if (node.kind === "Tuple") {
      return { ...node, items: node.items.map((item) => this.#assignable(item, context)) };
    }
    if (node.kind === "NamespaceRef") return node;
    const is_constant = node.kind === "Name" && CONSTANTS.has(node.name);
    if (node.kind !== "Name" || is_constant)
      throw this.#stream.fault(`can't assign to '${node.kind.toLowerCase()}'`);
    return { ...node, context };
  }
}

const CONSTANTS = new Set(["true", "false", "none", "True", "False", "None"]);
