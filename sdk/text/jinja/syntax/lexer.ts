import { Fault } from "../python/errors.ts";
import { isSpace, SPACE } from "../python/text/unicode.ts";
import { unescapeString } from "./strings.ts";

/** jinja2's lexer, with `trim_blocks` and `lstrip_blocks` as transformers sets them. */

export type TokenType =
  | "data"
  | "variable_begin"
  | "variable_end"
  | "block_begin"
  | "block_end"
  | "name"
  | "string"
  | "integer"
  | "float"
  | "operator"
  | "eof";

export interface Token {
  type: TokenType;
  /** The text; of a string what it stands for. */
  text: string;
  line: number;
}

const S = `[${SPACE}]`;
const RAW_BEGIN = new RegExp(`\\{%([-+]?)${S}*raw${S}*(?:-%\\}${S}*|%\\})`, "y");
const RAW_END = new RegExp(`\\{%([-+]?)${S}*endraw${S}*(?:\\+%\\}|-%\\}${S}*|%\\}\\n?)`, "y");
const COMMENT_END = new RegExp(`\\+#\\}|-#\\}${S}*|#\\}\\n?`, "g");
const BLOCK_END = new RegExp(`\\+%\\}|-%\\}${S}*|%\\}\\n?`, "y");
const VARIABLE_END = new RegExp(`-\\}\\}${S}*|\\}\\}`, "y");
const WHITESPACE = new RegExp(`${S}+`, "y");
const FLOAT = /(?<!\.)(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy;
const INTEGER = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy;
const NAME = /[\p{XID_Continue}\p{L}\p{N}]+/uy;
const IDENTIFIER = /^[\p{XID_Start}_]\p{XID_Continue}*$/u;
const STRING = /'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*"/sy;
const OPERATOR = /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}><=.:|,;]/y;
const CLOSED_BY: Record<string, string> = { "(": ")", "[": "]", "{": "}" };
const ONLY_SPACE = new RegExp(`^${S}+$`);

/** Tokens one after another, so that the first fault of a template is the one that is reported. */
export function tokenize(template: string): Generator<Token> {
  return new Lexer(template).run();
}

class Lexer {
  readonly #source: string;
  #at = 0;
  #line = 1;
  /** Whether what comes begins a line: then white space before a block goes. */
  #is_line_start = true;

  constructor(template: string) {
    // CRLF and CR are line ends; one at the end is not part of the template.
    this.#source = template.replace(/\r\n?/g, "\n").replace(/\n$/, "");
  }

  *run(): Generator<Token> {
    while (this.#at < this.#source.length) yield* this.#root();
    yield this.#token("eof", "");
  }

  /** Text up to the next tag, and the tag. */
  *#root(): Generator<Token> {
    const start = this.#at;
    const tag = this.#findTag(start);
    if (tag < 0) {
      yield this.#token("data", this.#source.slice(start));
      this.#at = this.#source.length;
      return;
    }
    RAW_BEGIN.lastIndex = tag;
    const raw = RAW_BEGIN.exec(this.#source);
    const kind = this.#source.charAt(tag + 1);
    const [sign_alone = ""] = /^[-+]/.exec(this.#source.slice(tag + 2, tag + 3)) ?? [];
    const sign = raw?.[1] ?? sign_alone;
    yield* this.#data(this.#source.slice(start, tag), sign, kind !== "{");
    const opening = raw?.[0] ?? this.#source.slice(tag, tag + 2 + sign.length);
    this.#at = tag;
    if (raw !== null) {
      this.#advance(opening);
      yield* this.#raw();
    } else if (kind === "#") {
      this.#advance(opening);
      this.#comment();
    } else {
      yield this.#token(kind === "{" ? "variable_begin" : "block_begin", opening);
      this.#advance(opening);
      yield* this.#code(kind === "{" ? "variable_end" : "block_end");
    }
  }

  #findTag(from: number): number {
    for (let at = this.#source.indexOf("{", from); at >= 0; at = this.#source.indexOf("{", at + 1)) {
      const next = this.#source[at + 1];
      if (next === "{" || next === "%" || next === "#") return at;
    }
    return -1;
  }

  /** Text before a tag, without the white space that the tag takes. */
  *#data(text: string, sign: string, is_block: boolean): Generator<Token> {
    let kept = text;
    if (sign === "-") kept = withoutTrailingSpace(text);
    else if (sign !== "+" && is_block) {
      const line = text.lastIndexOf("\n") + 1;
      if ((line > 0 || this.#is_line_start) && ONLY_SPACE.test(text.slice(line))) kept = text.slice(0, line);
    }
    if (kept !== "") yield this.#token("data", kept);
    this.#line += countLines(text);
  }

  *#raw(): Generator<Token> {
    const start = this.#at;
    for (let at = this.#source.indexOf("{%", start); at >= 0; at = this.#source.indexOf("{%", at + 1)) {
      RAW_END.lastIndex = at;
      const end = RAW_END.exec(this.#source);
      if (end === null) continue;
      yield* this.#data(this.#source.slice(start, at), end[1] ?? "", true);
      this.#at = at;
      this.#advance(end[0]);
      return;
    }
    // jinja2 does not miss it where nothing follows.
    if (start < this.#source.length) throw this.#fault("Missing end of raw directive");
  }

  #comment(): void {
    COMMENT_END.lastIndex = this.#at;
    const end = COMMENT_END.exec(this.#source);
    if (end !== null) this.#advance(this.#source.slice(this.#at, end.index + end[0].length));
    else if (this.#at < this.#source.length) throw this.#fault("Missing end of comment tag");
  }

  /** What stands inside a tag, and its end. */
  *#code(end_type: "variable_end" | "block_end"): Generator<Token> {
    const end = end_type === "variable_end" ? VARIABLE_END : BLOCK_END;
    const open: string[] = [];
    while (this.#at < this.#source.length) {
      const closing = open.length === 0 ? this.#match(end) : null;
      if (closing !== null) {
        yield this.#token(end_type, closing);
        this.#advance(closing);
        return;
      }
      const space = this.#match(WHITESPACE);
      if (space !== null) this.#advance(space);
      else yield this.#codeToken(open);
    }
  }

  #codeToken(open: string[]): Token {
    const kinds = [
      ["float", FLOAT],
      ["integer", INTEGER],
      ["name", NAME],
      ["string", STRING],
      ["operator", OPERATOR],
    ] as const;
    for (const [type, pattern] of kinds) {
      const text = this.#match(pattern);
      if (text === null) continue;
      if (type === "operator") this.#balance(text, open);
      if (type === "name" && !IDENTIFIER.test(text)) throw this.#fault("Invalid character in identifier");
      const token = this.#token(type, type === "string" ? this.#stringValue(text) : text);
      this.#advance(text);
      return token;
    }
    throw this.#fault(`unexpected char ${JSON.stringify(this.#source[this.#at])}`);
  }

  #balance(operator: string, open: string[]): void {
    const closed_by = CLOSED_BY[operator];
    if (closed_by !== undefined) open.push(closed_by);
    else if (operator === ")" || operator === "]" || operator === "}") {
      const expected = open.pop();
      if (expected !== operator)
        throw this.#fault(
          `unexpected '${operator}'${expected === undefined ? "" : `, expected '${expected}'`}`,
        );
    }
  }

  #stringValue(literal: string): string {
    const value = unescapeString(literal.slice(1, -1));
    if (value === undefined) throw this.#fault("a string with a bad escape");
    return value;
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#source)?.[0] ?? null;
  }

  #token(type: TokenType, text: string): Token {
    return { type, text, line: this.#line };
  }

  #advance(text: string): void {
    this.#at += text.length;
    this.#line += countLines(text);
    this.#is_line_start = text.endsWith("\n");
  }

  #fault(message: string): Fault {
    return new Fault("TemplateSyntaxError", message, this.#line);
  }
}

function withoutTrailingSpace(text: string): string {
  let end = text.length;
  while (end > 0 && isSpace(text[end - 1])) end--;
  return text.slice(0, end);
}

function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}
