import { itemAt } from "../../../../models/certain.ts";
import { isSpace } from "../python/text/unicode.ts";
import { Expressions } from "./expressions.ts";
import { tokenize } from "./lexer.ts";
import type { Expression, FilterNode, IfNode, NameNode, Statement, Target } from "./nodes.ts";
import { TokenStream } from "./stream.ts";

/**
 * Parses a template as jinja2 does in the environment that transformers makes: its own tags, `break`, `continue` and
 * `generation`.
 *
 * @throws Fault `TemplateSyntaxError` with the line
 */
export function parse(template: string): Statement[] {
  return new Parser(new TokenStream(tokenize(template))).template();
}

class Parser {
  readonly #stream: TokenStream;
  readonly #expressions: Expressions;
  /** Tags that are open. */
  readonly #open: string[] = [];

  constructor(stream: TokenStream) {
    this.#stream = stream;
    this.#expressions = new Expressions(stream);
  }

  template(): Statement[] {
    return this.#statements([]);
  }

  /** Text, prints and blocks up to one of the tags that end them, which is current then. */
  #statements(ends: readonly string[]): Statement[] {
    const stream = this.#stream;
    const made: Statement[] = [];
    let printed: Expression[] = [];
    const flush = () => {
      if (printed.length > 0) made.push({ kind: "Output", nodes: printed, line: itemAt(printed, 0).line });
      printed = [];
    };
    while (!stream.is("eof")) {
      if (stream.is("data")) {
        const { text, line } = stream.next();
        printed.push({ kind: "Data", text, line });
      } else if (stream.is("variable_begin")) {
        stream.next();
        printed.push(this.#expressions.tuple());
        stream.expect("variable_end");
      } else {
        flush();
        stream.expect("block_begin");
        if (ends.length > 0 && stream.isName(...ends)) return made;
        made.push(this.#statement(ends));
        stream.expect("block_end");
      }
    }
    flush();
    return made;
  }

  /** The body of a block, and which of `ends` ended it. */
  #body(...ends: string[]): { body: Statement[]; end: string } {
    this.#stream.skipOperator(":");
    this.#stream.expect("block_end");
    const body = this.#stream.nested(() => this.#statements(ends));
    if (this.#stream.is("eof"))
      throw this.#stream.fault(`Unexpected end of template. ${this.#expecting(ends)}`);
    return { body, end: this.#stream.next().text };
  }

  #expecting(ends: readonly string[]): string {
    const innermost = this.#open.at(-1);
    const looking =
      ends.length === 0
        ? ""
        : `Jinja was looking for the following tags: ${ends.map((end) => `'${end}'`).join(" or ")}.`;
    return innermost === undefined
      ? looking
      : `${looking} The innermost block that needs to be closed is '${innermost}'.`;
  }

  #statement(ends: readonly string[]): Statement {
    const stream = this.#stream;
    const { type, text, line } = stream.current;
    if (type !== "name") throw stream.fault("tag name expected");
    const read = Object.hasOwn(this.#tags, text) ? this.#tags[text] : undefined;
    if (read === undefined)
      throw stream.fault(`Encountered unknown tag '${text}'. ${this.#expecting(ends)}`.trim());
    this.#open.push(text);
    stream.next();
    const made = read(line);
    this.#open.pop();
    return made;
  }

  readonly #tags: Readonly<Record<string, (line: number) => Statement>> = {
    for: (line) => this.#for(line),
    if: (line) => this.#if(line),
    block: (line) => this.#block(line),
    extends: (line) => ({ kind: "Extends", template: this.#expressions.expression(), line }),
    print: (line) => this.#print(line),
    macro: (line) => this.#macro(line),
    include: (line) => this.#include(line),
    from: (line) => this.#fromImport(line),
    import: (line) => this.#import(line),
    set: (line) => this.#set(line),
    with: (line) => this.#with(line),
    autoescape: (line) => {
      const value = this.#expressions.expression();
      return { kind: "Autoescape", value, body: this.#body("endautoescape").body, line };
    },
    call: (line) => this.#callBlock(line),
    filter: (line) => {
      const filter = this.#expressions.filter(null, true) as FilterNode;
      return { kind: "FilterBlock", filter, body: this.#body("endfilter").body, line };
    },
    break: (line) => ({ kind: "Break", line }),
    continue: (line) => ({ kind: "Continue", line }),
    generation: (line) => ({
      kind: "Generation",
      args: [],
      defaults: [],
      body: this.#body("endgeneration").body,
      line,
    }),
  };

  #for(line: number): Statement {
    const target = this.#expressions.target();
    this.#stream.expect("name", "in");
    const iterable = this.#expressions.tuple({ with_conditions: false });
    const test = this.#stream.skipName("if") ? this.#expressions.expression() : null;
    const is_recursive = this.#stream.skipName("recursive");
    const { body, end } = this.#body("endfor", "else");
    const otherwise = end === "else" ? this.#body("endfor").body : [];
    return { kind: "For", target, iterable, body, otherwise, test, is_recursive, line };
  }

  #if(line: number): Statement {
    const first = this.#condition(line);
    let { end } = first;
    while (end === "elif") {
      const elif = this.#condition(this.#stream.line);
      first.node.elifs.push(elif.node);
      end = elif.end;
    }
    if (end === "else") first.node.otherwise = this.#body("endif").body;
    return first.node;
  }

  /** `if` or `elif`, and the tag behind its body. */
  #condition(line: number): { node: IfNode; end: string } {
    const test = this.#expressions.tuple({ with_conditions: false });
    const { body, end } = this.#body("elif", "else", "endif");
    return { node: { kind: "If", test, body, elifs: [], otherwise: [], line }, end };
  }

  #with(line: number): Statement {
    const targets: Target[] = [];
    const values: Expression[] = [];
    while (!this.#stream.is("block_end")) {
      if (targets.length > 0) this.#stream.expect("operator", ",");
      targets.push(asParameter(this.#expressions.target()));
      this.#stream.expect("operator", "=");
      values.push(this.#expressions.expression());
    }
    return { kind: "With", targets, values, body: this.#body("endwith").body, line };
  }

  #block(line: number): Statement {
    const stream = this.#stream;
    const name = stream.expect("name").text;
    const is_scoped = stream.skipName("scoped");
    const is_required = stream.skipName("required");
    if (stream.isOperator("-"))
      throw stream.fault(
        "Block names in Jinja have to be valid Python identifiers and may not contain hyphens",
      );
    const { body } = this.#body("endblock");
    if (is_required && !body.every(isBlank))
      throw stream.fault("Required blocks can only contain comments or whitespace");
    stream.skipName(name);
    return { kind: "Block", name, body, is_scoped, is_required, line };
  }

  #print(line: number): Statement {
    const nodes: Expression[] = [];
    while (!this.#stream.is("block_end")) {
      if (nodes.length > 0) this.#stream.expect("operator", ",");
      nodes.push(this.#expressions.expression());
    }
    return { kind: "Output", nodes, line };
  }

  /** `(a, b=1)` */
  #signature(): { args: NameNode[]; defaults: Expression[] } {
    const stream = this.#stream;
    const args: NameNode[] = [];
    const defaults: Expression[] = [];
    stream.expect("operator", "(");
    while (!stream.isOperator(")")) {
      if (args.length > 0) stream.expect("operator", ",");
      const arg = this.#expressions.targetName("param");
      if (stream.skipOperator("=")) defaults.push(this.#expressions.expression());
      else if (defaults.length > 0) throw stream.fault("non-default argument follows default argument");
      args.push({ kind: "Name", context: "param", ...arg });
    }
    stream.expect("operator", ")");
    return { args, defaults };
  }

  #macro(line: number): Statement {
    const { name } = this.#expressions.targetName();
    const signature = this.#signature();
    return { kind: "Macro", name, ...signature, body: this.#body("endmacro").body, line };
  }

  #callBlock(line: number): Statement {
    const signature = this.#stream.isOperator("(") ? this.#signature() : { args: [], defaults: [] };
    const call = this.#expressions.expression();
    if (call.kind !== "Call") throw this.#stream.fault("expected call", line);
    return { kind: "CallBlock", call, ...signature, body: this.#body("endcall").body, line };
  }

  #set(line: number): Statement {
    const target = this.#expressions.target(true);
    if (this.#stream.skipOperator("="))
      return { kind: "Set", target, value: this.#expressions.tuple(), line };
    const filter = this.#expressions.filter(null);
    return { kind: "SetBlock", target, filter, body: this.#body("endset").body, line };
  }

  #include(line: number): Statement {
    const stream = this.#stream;
    const template = this.#expressions.expression();
    const ignores_missing = stream.isName("ignore") && stream.look().text === "missing";
    if (ignores_missing) {
      stream.next();
      stream.next();
    }
    this.#importContext();
    return { kind: "Include", template, ignores_missing, line };
  }

  #import(line: number): Statement {
    const template = this.#expressions.expression();
    this.#stream.expect("name", "as");
    const { name } = this.#expressions.targetName();
    this.#importContext();
    return { kind: "Import", template, targets: [name], line };
  }

  #fromImport(line: number): Statement {
    const stream = this.#stream;
    const template = this.#expressions.expression();
    stream.expect("name", "import");
    const targets: string[] = [];
    for (;;) {
      if (targets.length > 0) stream.expect("operator", ",");
      if (!stream.is("name")) stream.expect("name");
      if (this.#importContext()) break;
      const { name } = this.#expressions.targetName();
      if (name.startsWith("_")) throw stream.fault("names starting with an underline can not be imported");
      targets.push(stream.skipName("as") ? this.#expressions.targetName().name : name);
      if (this.#importContext() || !stream.isOperator(",")) break;
    }
    return { kind: "Import", template, targets, line };
  }

  /** `with context`, `without context` */
  #importContext(): boolean {
    const stream = this.#stream;
    if (!stream.isName("with", "without") || stream.look().text !== "context") return false;
    stream.next();
    stream.next();
    return true;
  }
}

/** What `with` binds are parameters of its body. */
function asParameter(target: Target): Target {
  if (target.kind === "Name") return { ...target, context: "param" };
  if (target.kind === "Tuple")
    return { ...target, items: target.items.map((item) => asParameter(item as Target)) };
  return target;
}

function isBlank(statement: Statement): boolean {
  return (
    statement.kind === "Output" &&
    statement.nodes.every(
      (node) => node.kind === "Data" && node.text !== "" && Array.from(node.text).every(isSpace),
    )
  );
}
