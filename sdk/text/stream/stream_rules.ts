import type { OpenTokenizer } from "../../../core-wasm/text/index.ts";
import { isObject } from "../../../models/index.ts";
import type { Tokenizer } from "../../types.ts";

/** What of a text that is being decoded may still change with the tokens to come. */
export interface StreamRules {
  /** All of it: the decoder looks at the whole text, or treats its last token otherwise. No tokenizer of now does. */
  waits_for_end: boolean;
  /** Tokens of single bytes, where one that does not belong turns all bytes in a row with it into U+FFFD. */
  bytes: ReadonlySet<number>;
}

const NOTHING: StreamRules = { waits_for_end: false, bytes: new Set() };
const rules = new WeakMap<Tokenizer, StreamRules>();

export function setStreamRules(tokenizer: Tokenizer, found: StreamRules): void {
  rules.set(tokenizer, found);
}

/** The rules of a tokenizer; of one that is not ours, those of byte-level ones. */
export function streamRulesOf(tokenizer: Tokenizer): StreamRules {
  return rules.get(tokenizer) ?? NOTHING;
}

type Json = Record<string, unknown>;

/** @param decoder `decoder` of tokenizer.json */
export function readStreamRules(decoder: unknown, tokenizer: OpenTokenizer): StreamRules {
  const steps = flatten(decoder);
  const fuse = steps.findIndex(({ type }) => type === "Fuse" || type === "ByteLevel");
  const by_token = fuse < 0 ? steps : steps.slice(0, fuse + 1);
  const by_text = fuse < 0 ? [] : steps.slice(fuse + 1);
  const waits_for_end = by_token.some(looksFurther) || !by_text.every(isStable);
  const has_bytes = by_token.some(({ type }) => type === "ByteFallback");
  return { waits_for_end, bytes: has_bytes && !waits_for_end ? tokenizer.bytes : new Set() };
}

/** The steps of a decoder, with those of the sequences in it. */
function flatten(decoder: unknown): Json[] {
  if (!isObject(decoder)) return [];
  return Array.isArray(decoder.decoders) ? decoder.decoders.flatMap(flatten) : [decoder];
}

/** BPEDecoder has another rule for the last token than for the others, and CTC drops a token like the one before it. */
function looksFurther({ type }: Json): boolean {
  return type === "BPEDecoder" || type === "CTC";
}

/** Whether a step over the whole text changes no more of it than its start and single characters. */
function isStable(step: Json): boolean {
  switch (step.type) {
    case "Fuse":
      return true;
    case "Strip":
      return step.stop === 0;
    case "Replace": {
      const text = isObject(step.pattern) ? step.pattern.String : undefined;
      return typeof text === "string" && [...text].length === 1 && text !== "\ufffd";
    }
    default:
      return false;
  }
}
