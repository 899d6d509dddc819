import { Fault } from "../python/errors.ts";
import type { Token, TokenType } from "./lexer.ts";

/** Nesting of expressions and statements; Python's own compiler ends at 200 parentheses and 100 blocks. */
const DEEPEST = 190;

/** Tokens to read one by one. */
export class TokenStream {
  readonly #tokens: Iterator<Token>;
  current: Token;
  /** The token behind the current one, once it was looked at. */
  #ahead: Token | undefined;
  #depth = 0;

  constructor(tokens: Iterator<Token>) {
    this.#tokens = tokens;
    this.current = tokens.next().value;
  }

  get line(): number {
    return this.current.line;
  }

  look(): Token {
    if (this.current.type === "eof") return this.current;
    this.#ahead ??= this.#tokens.next().value as Token;
    return this.#ahead;
  }

  next(): Token {
    const token = this.current;
    this.current = this.look();
    this.#ahead = undefined;
    return token;
  }

  /** Whether the current token is of a type, or an operator or name by its text. */
  is(type: TokenType, ...texts: string[]): boolean {
    const { current } = this;
    return current.type === type && (texts.length === 0 || texts.includes(current.text));
  }

  isName(...names: string[]): boolean {
    return this.is("name", ...names);
  }

  isOperator(...operators: string[]): boolean {
    return this.is("operator", ...operators);
  }

  skipName(name: string): boolean {
    if (!this.isName(name)) return false;
    this.next();
    return true;
  }

  skipOperator(operator: string): boolean {
    if (!this.isOperator(operator)) return false;
    this.next();
    return true;
  }

  expect(type: TokenType, text?: string): Token {
    if (text === undefined ? this.is(type) : this.is(type, text)) return this.next();
    const expected = text ?? DESCRIPTIONS[type];
    if (this.current.type === "eof") throw this.fault(`unexpected end of template, expected '${expected}'`);
    throw this.fault(`expected token '${expected}', got '${describe(this.current)}'`);
  }

  /** Parses something that may hold more of its kind. */
  nested<T>(parse: () => T): T {
    if (this.#depth >= DEEPEST) throw this.fault(`nested more than ${DEEPEST} deep`);
    this.#depth++;
    const made = parse();
    this.#depth--;
    return made;
  }

  fault(message: string, line = this.line): Fault {
    return new Fault("TemplateSyntaxError", message, line);
  }
}

const DESCRIPTIONS: Record<TokenType, string> = {
  data: "template data / text",
  variable_begin: "begin of print statement",
  variable_end: "end of print statement",
  block_begin: "begin of statement block",
  block_end: "end of statement block",
  name: "name",
  string: "string",
  integer: "integer",
  float: "float",
  operator: "operator",
  eof: "end of template",
};

export function describe({ type, text }: Token): string {
  return type === "operator" || type === "name" ? text : DESCRIPTIONS[type];
}
