import type { OpenTokenizer } from "../../../core-wasm/text/index.ts";

/** A token that stands outside the tokenizer's own vocabulary rules: control tokens, tags, reserved words. */
export interface AddedToken {
  id: number;
  content: string;
  /** A control token; the others are tags that may be part of a reply's text. */
  special: boolean;
}

/** The added tokens of a tokenizer, by their texts. */
export class AddedTokens {
  readonly by_text = new Map<string, AddedToken>();
  readonly #tokenizer: OpenTokenizer;

  constructor(tokenizer: OpenTokenizer) {
    for (const token of tokenizer.added) this.by_text.set(token.content, token);
    this.#tokenizer = tokenizer;
  }

  /** Whether any added token's text stands in `text`. */
  occursIn(text: string): boolean {
    return this.by_text.size > 0 && this.#tokenizer.findAdded(text).length > 0;
  }
}
