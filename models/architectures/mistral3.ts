import type { ConfigReader } from "../config.ts";
import type { Decoder } from "../spec.ts";
import { ministral3 } from "./ministral3.ts";
import { mistral } from "./mistral.ts";
import { textPart } from "./multimodal.ts";

const TEXT = { mistral, ministral3 };

/** The text part of Mistral Small 3.1 and Ministral 3 (`Mistral3ForConditionalGeneration`). */
export function mistral3(config: ConfigReader): Decoder {
  return textPart(config, (text) =>
    TEXT[text.oneOf("model_type", ["mistral", "ministral3"], "mistral")](text),
  );
}
