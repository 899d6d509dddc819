import type { AddedTokenPlace, OpenTokenizer } from "../../../core-wasm/text/index.ts";

/** A token that stands outside the tokenizer's own vocabulary rules: control tokens, tags, reserved words. */
export interface AddedToken {
  id: number;
  content: string;
  /** A control token; the others are tags that may be part of a reply's text. */
  special: boolean;
}

/** A part of a text: an added token, or plain text between them (`token` null). Characters [start, end). */
export interface TextPiece {
  start: number;
  end: number;
  token: AddedToken | null;
}

/** The added tokens of a tokenizer, and where they stand in a text: leftmost first, longest first. */
export class AddedTokens {
  readonly by_text = new Map<string, AddedToken>();
  readonly by_id = new Map<number, AddedToken>();
  readonly #find: (text: string) => AddedTokenPlace[];

  constructor(tokenizer: OpenTokenizer) {
    for (const token of tokenizer.added) {
      this.by_text.set(token.content, token);
      this.by_id.set(token.id, token);
    }
    this.#find = (text) => (this.by_id.size === 0 ? [] : tokenizer.findAdded(text));
  }

  /** Whether any added token's text stands in `text`. */
  occursIn(text: string): boolean {
    return this.#find(text).length > 0;
  }

  /** Cuts a text at its added tokens. */
  split(text: string): TextPiece[] {
    const pieces: TextPiece[] = [];
    let from = 0;
    for (const { id, start, end } of this.#find(text)) {
      pieces.push({ start: from, end: start, token: null }, { start, end, token: this.by_id.get(id)! });
      from = end;
    }
    pieces.push({ start: from, end: text.length, token: null });
    return pieces.filter((piece) => piece.end > piece.start);
  }
}
