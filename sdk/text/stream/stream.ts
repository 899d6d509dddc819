import type { Tokenizer } from "../../types.ts";
import { type StreamRules, streamRulesOf } from "./stream_rules.ts";

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
 * new tokens are decoded together with those before them, and what is new is given out once nothing that follows can
 * change it. (The crate's own `DecodeStream` loses what is left at the end, and fails where bytes turn out wrong.)
 */
class StreamDecoder {
  readonly #tokenizer: Tokenizer;
  readonly #options: { skip_special_tokens?: boolean };
  readonly #rules: StreamRules;
  /** Tokens still needed: some whose text is all out already, as context, then those still incomplete. */
  #window: number[] = [];
  #n_context = 0;
  /** Characters of the window's text that are out. */
  #given = 0;
  #is_open = false;
  /** Whether the last token with a text is one of a byte. */
  #in_bytes = false;

  constructor(tokenizer: Tokenizer, options: { skip_special_tokens?: boolean }) {
    this.#tokenizer = tokenizer;
    this.#options = options;
    this.#rules = streamRulesOf(tokenizer);
  }

  /** Whether some text is held: what follows completes or changes it. */
  get is_open(): boolean {
    return this.#is_open;
  }

  /** The text that `id` completes; "" while a character is incomplete. Ids beyond the tokenizer's are no text. */
  push(id: number): string {
    if (id >= this.#tokenizer.size) return "";
    this.#window.push(id);
    this.#in_bytes = this.#rules.bytes.has(id) || (this.#in_bytes && this.#decode([id]) === "");
    if (this.#rules.waits_for_end || this.#in_bytes) {
      this.#is_open = true;
      return "";
    }
    const text = this.#decode(this.#window);
    // Only the last replacement character can still become another one.
    this.#is_open = text.endsWith(INCOMPLETE);
    const fresh = this.#give(text, this.#is_open ? text.length - 1 : text.length);
    if (!this.#is_open && fresh !== "") this.#slide(text);
    return fresh;
  }

  /** What is left: incomplete bytes as U+FFFD, as `decode` gives them. The stream begins again. */
  flush(): string {
    const text = this.#window.length === 0 ? "" : this.#decode(this.#window);
    const fresh = this.#give(text, text.length);
    this.#window = [];
    this.#n_context = this.#given = 0;
    this.#is_open = this.#in_bytes = false;
    return fresh;
  }

  #decode(ids: readonly number[]): string {
    return this.#tokenizer.decode(ids, this.#options);
  }

  #give(text: string, end: number): string {
    const fresh = text.slice(this.#given, end);
    this.#given = Math.max(this.#given, end);
    return fresh;
  }

  /** Drops the old context; the tokens just given out are the next one. */
  #slide(text: string): void {
    const next = this.#window.slice(this.#n_context);
    const given = this.#n_context > 0 ? this.#decode(next).length : text.length;
    // Without text of its own a context would not tell what is cut from a text's start alone.
    if (given === 0) return;
    this.#window = next;
    this.#given = given;
    this.#n_context = next.length;
  }
}

const INCOMPLETE = "\ufffd";
