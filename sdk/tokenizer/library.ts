import * as exported from "@huggingface/tokenizers";

/**
 * The parts of `@huggingface/tokenizers` that are used here, with their types: the package's own declarations name
 * their files without extensions, which modern module resolution does not find.
 */
interface LibraryModule {
  Tokenizer: new (file: object, config: object) => Library;
  ByteLevelPreTokenizer: new (config: object) => PreTokenizer & { pattern: RegExp };
  SequencePreTokenizer: new (config: object) => PreTokenizer & { tokenizers: (PreTokenizer | null)[] };
  SplitPreTokenizer: new (config: object) => PreTokenizer & { pattern: RegExp | null };
  ByteFallbackDecoder: new (config: object) => Decoder & { text_decoder: InstanceType<typeof TextDecoder> };
  SequenceDecoder: new (config: object) => Decoder & { decoders: Decoder[] };
}

interface Library {
  normalizer: ((text: string) => string) | null;
  pre_tokenizer: PreTokenizer | null;
  model: LibraryModel;
  decoder: Decoder | null;
  decode(
    ids: number[],
    options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean },
  ): string;
}

/** Words to tokens. */
export interface LibraryModel {
  (words: string[]): string[];
  tokens_to_ids: Map<string, number>;
  /** By id; with holes. */
  vocab: (string | undefined)[];
  unk_token?: string | null;
  unk_token_id?: number;
}

type PreTokenizer = (text: string, options: { section_index: number }) => string[];

/** Opaque: only the library calls it. */
interface Decoder {
  decode(tokens: string[]): string;
}

const library = exported as unknown as LibraryModule;

/**
 * A tokenizer of the library, its parts brought to what the reference (Hugging Face's Rust crate) does where fuzzing
 * against it found them to differ (version 0.2.0; each repair says what differs).
 *
 * @throws Error in the library's words for parts that it does not know
 */
export function makeLibrary(file: object): Library {
  const made = new library.Tokenizer(file, {});
  repairPreTokenizer(made.pre_tokenizer);
  repairDecoder(made.decoder);
  return made;
}

export type { Library };

/** GPT-2's rule for words. */
const GPT2_WORDS = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** JavaScript counts U+FEFF as whitespace and U+0085 not; the library minds that for patterns that files bring. */
function repairPreTokenizer(part: PreTokenizer | null): void {
  if (part instanceof library.SequencePreTokenizer) part.tokenizers.forEach(repairPreTokenizer);
  if (!(part instanceof library.ByteLevelPreTokenizer)) return;
  const pattern = { Regex: GPT2_WORDS };
  const split = new library.SplitPreTokenizer({
    type: "Split",
    pattern,
    behavior: "Isolated",
    invert: false,
  });
  if (split.pattern !== null) part.pattern = split.pattern;
}

/**
 * A TextDecoder drops U+FEFF at the start of each run of bytes unless told otherwise. (One difference stays: bytes
 * that are no UTF-8 become U+FFFD alone, where the crate replaces their whole run, which could not be streamed.)
 */
function repairDecoder(part: Decoder | null): void {
  if (part instanceof library.SequenceDecoder) part.decoders.forEach(repairDecoder);
  if (part instanceof library.ByteFallbackDecoder) {
    part.text_decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  }
}
