import type { Tokenizer } from "../types.ts";

/**
 * Text of tokens as they come, never half a character: what `push` and `flush` give, joined, is what `decode` gives
 * for all ids at once.
 *
 * @example
 * const stream = streamDecoder(tokenizer);
 * for (const id of ids) write(stream.push(id));
 * write(stream.flush());
 */
export function streamDecoder(
  tokenizer: Tokenizer,
  options: { skip_special_tokens?: boolean } = {},
): StreamDecoder {
  return new StreamDecoder(tokenizer, options);
}

/**
 * A character's bytes may be spread over tokens, and some vocabularies drop the space of a sequence's first word. So
 * new tokens are decoded together with those before them, and what is new is given out once it is complete.
 */
class StreamDecoder {
  readonly #tokenizer: Tokenizer;
  readonly #options: { skip_special_tokens?: boolean };
  /** Tokens still needed: some whose text is all out already, as context, then those still incomplete. */
  #window: number[] = [];
  #n_context = 0;
  /** Characters of the window's text that are out. */
  #given = 0;

  constructor(tokenizer: Tokenizer, options: { skip_special_tokens?: boolean }) {
    this.#tokenizer = tokenizer;
    this.#options = options;
  }

  /** The text that `id` completes; "" while a character is incomplete. Ids beyond the tokenizer's are no text. */
  push(id: number): string {
    if (id >= this.#tokenizer.size) return "";
    this.#window.push(id);
    const text = this.#tokenizer.decode(this.#window, this.#options);
    const complete = !text.endsWith(INCOMPLETE);
    // Only the last replacement character can still become another one.
    const fresh = this.#give(text, complete ? text.length : text.length - 1);
    if (complete && fresh !== "") this.#slide(text);
    return fresh;
  }

  /** What is left: incomplete bytes as U+FFFD, as `decode` gives them. The stream begins anew. */
  flush(): string {
    const text = this.#window.length === 0 ? "" : this.#tokenizer.decode(this.#window, this.#options);
    const fresh = this.#give(text, text.length);
    this.#window = [];
    this.#n_context = this.#given = 0;
    return fresh;
  }

  #give(text: string, end: number): string {
    const fresh = text.slice(this.#given, end);
    this.#given = Math.max(this.#given, end);
    return fresh;
  }

  /** Drops the old context; the tokens just given out are the next one. */
  #slide(text: string): void {
    if (this.#n_context > 0) {
      this.#window = this.#window.slice(this.#n_context);
      this.#given = this.#tokenizer.decode(this.#window, this.#options).length;
    } else {
      this.#given = text.length;
    }
    this.#n_context = this.#window.length;
  }
}

const INCOMPLETE = "\ufffd";
