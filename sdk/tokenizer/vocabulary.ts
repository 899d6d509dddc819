import { CapstanError, show } from "../../models/index.ts";
import type { AddedToken, AddedTokens } from "./added.ts";
import { type Library, type LibraryModel, makeLibrary } from "./library.ts";

/** A tokenizer.json as far as it is read here; the library reads the rest. */
export interface TokenizerFile {
  model: {
    vocab: Record<string, number>;
    merges: unknown[];
    unk_token?: string | null;
    [field: string]: unknown;
  };
  [field: string]: unknown;
}

/** Plain text as tokens: ids and, for each, its text in the vocabulary's own alphabet. */
export interface EncodedText {
  ids: number[];
  tokens: string[];
}

/**
 * The vocabulary of a tokenizer without its added tokens: every text is plain characters to it. The steps are the
 * library's (normalizer, pre-tokenizer, BPE model, decoder); what is left out is its search for added tokens.
 */
export class Vocabulary {
  /** Ids lie below this. */
  readonly size: number;
  readonly #library: Library;
  readonly #model: LibraryModel;
  readonly #byte_fallback: boolean;

  constructor(file: TokenizerFile, added: AddedTokens) {
    const specials = added.list.filter((token) => isUnwritable(token, file));
    this.#library = makeLibrary({ ...file, model: withoutMergesTo(specials, file.model) });
    this.#model = this.#library.model;
    this.#byte_fallback = file.model.byte_fallback === true;
    // The library put the added tokens into the model's table, where a whole word could find them.
    for (const { content } of added.list) {
      const own = file.model.vocab[content];
      if (own === undefined) this.#model.tokens_to_ids.delete(content);
      else this.#model.tokens_to_ids.set(content, own);
    }
    for (const { content } of specials) this.#model.tokens_to_ids.delete(content);
    this.size = this.#model.vocab.length;
  }

  /**
   * Encodes plain text.
   *
   * @param at_start whether the text stands at the start of the sequence: some vocabularies put a space before it
   */
  encode(text: string, at_start: boolean): EncodedText {
    const tokens = guarded(`encode ${show(text)}`, () => this.#model(this.#words(text, at_start)));
    const { tokens_to_ids, unk_token_id } = this.#model;
    const ids = tokens.map((token) => tokens_to_ids.get(token) ?? unk_token_id);
    if (ids.every((id) => id !== undefined)) return { ids: ids as number[], tokens };
    throw new CapstanError("tokenizer", {
      action: `encode ${show(text)}`,
      need: "a token for every character",
      found: `none for ${show(tokens[ids.indexOf(undefined)])}, and no unk_token`,
    });
  }

  /**
   * Length of a text in the vocabulary's own alphabet (one character a byte in byte-level vocabularies). Lengths of
   * texts add up: what `follows` is measured behind another text, so that no space is put before it.
   */
  lengthOf(text: string, position: "starts" | "begins_piece" | "follows"): number {
    const measure = (one: string) =>
      guarded("encode a text", () => this.#words(one, position === "starts")).reduce(
        (sum, word) => sum + word.length,
        0,
      );
    // No mark joins with a digit to another character.
    return position === "follows" ? measure(`0${text}`) - measure("0") : measure(text);
  }

  /** Length of a token in the same alphabet. A byte token counts for its character where it is the first byte. */
  lengthOfToken(token: string): number {
    const byte = this.#byte_fallback ? /^<0x([0-9A-F]{2})>$/.exec(token) : null;
    if (byte === null) return token === this.#model.unk_token ? 1 : token.length;
    const value = Number.parseInt(byte[1]!, 16);
    return value >= 0xf0 ? 2 : value >= 0x80 && value < 0xc0 ? 0 : 1;
  }

  /** Text of ids, all in range; ids that stand for nothing are left out, as in Python. */
  decode(ids: readonly number[]): string {
    const known = ids.filter((id) => this.#model.vocab[id] !== undefined);
    if (known.length === 0) return "";
    const options = { skip_special_tokens: false, clean_up_tokenization_spaces: false };
    return guarded("decode tokens", () => this.#library.decode(known, options));
  }

  #words(text: string, at_start: boolean): string[] {
    // Some normalizers put a space before a text, and nothing before nothing.
    if (text === "") return [];
    const { normalizer, pre_tokenizer } = this.#library;
    const normalized = normalizer === null ? text : normalizer(text);
    if (normalized === "") return [];
    // The library gives a space to the first section of a text only, where the tokenizer asks for that.
    return pre_tokenizer === null
      ? [normalized]
      : pre_tokenizer(normalized, { section_index: at_start ? 0 : 1 });
  }
}

/** The library builds parts out of nearly anything, and finds out when it runs them. */
function guarded<T>(action: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    const found = (cause instanceof Error ? cause.message : String(cause)).slice(0, 100);
    const parts = { action, need: "a tokenizer.json whose parts work", found };
    throw new CapstanError("tokenizer", parts, { cause });
  }
}

/** Control tokens must not come out of plain text even where the vocabulary holds them; what it cannot spell may. */
function isUnwritable(token: AddedToken, { model }: TokenizerFile): boolean {
  return token.special && token.content !== model.unk_token;
}

function withoutMergesTo(
  tokens: readonly AddedToken[],
  model: TokenizerFile["model"],
): TokenizerFile["model"] {
  const banned = new Set(
    tokens.map(({ content }) => content).filter((text) => model.vocab[text] !== undefined),
  );
  if (banned.size === 0) return model;
  const result = (merge: unknown) => (Array.isArray(merge) ? merge.join("") : String(merge).replace(" ", ""));
  return { ...model, merges: model.merges.filter((merge) => !banned.has(result(merge))) };
}
