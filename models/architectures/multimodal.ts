import type { ConfigReader } from "../config.ts";
import type { Decoder } from "../spec.ts";

/** The decoder of a multimodal model: its `text_config`, with what the whole config says of the head and of ends. */
export function textPart(config: ConfigReader, build: (text: ConfigReader) => Decoder): Decoder {
  const text = config.child("text_config");
  if (text === undefined) return config.refuse("text_config", null, "the text part of the model");
  const { spec, tensors } = build(text);
  const eos_token_ids = [...new Set([...config.ids("eos_token_id"), ...spec.eos_token_ids])];
  const tied_embeddings = config.bool("tie_word_embeddings", true);
  return { spec: { ...spec, eos_token_ids, tied_embeddings }, tensors };
}
