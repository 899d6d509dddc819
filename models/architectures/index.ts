import { ConfigReader, type RawConfig } from "../config.ts";
import { CapstanError, show } from "../errors.ts";
import type { Decoder } from "../spec.ts";
import { cohere } from "./cohere.ts";
import { gemma2 } from "./gemma2.ts";
import { gptNeox } from "./gpt_neox.ts";
import { gpt2 } from "./gpt2.ts";
import { granite } from "./granite.ts";
import { llama } from "./llama.ts";
import { mixtral } from "./mixtral.ts";
import { olmo2 } from "./olmo2.ts";
import { qwen3 } from "./qwen3.ts";
import { qwen3Moe } from "./qwen3_moe.ts";

/** Every family, by `model_type`. Adding one is a file beside this and a line here (CONTRIBUTING). */
const ARCHITECTURES: Record<string, (config: ConfigReader) => Decoder> = {
  cohere,
  gemma2,
  gpt2,
  gpt_neox: gptNeox,
  granite,
  llama,
  mixtral,
  olmo2,
  qwen3,
  qwen3_moe: qwen3Moe,
};

/** The `model_type`s this runtime knows, sorted. */
export function knownArchitectures(): string[] {
  return Object.keys(ARCHITECTURES).sort();
}

/**
 * The decoder a config.json describes.
 *
 * @param config the parsed config.json
 * @param generation the parsed generation_config.json, whose `eos_token_id` is added to the config's
 * @throws CapstanError `unsupported` for an unknown `model_type` (the known ones are listed), `bad_config`
 *   for a missing or impossible field
 */
export function readDecoder(config: RawConfig, generation?: RawConfig): Decoder {
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw new CapstanError("bad_config", {
      action: "read config.json",
      need: "an object",
      found: show(config),
    });
  }
  const type = config.model_type;
  const build =
    typeof type === "string" && Object.hasOwn(ARCHITECTURES, type) ? ARCHITECTURES[type] : undefined;
  if (build === undefined) {
    throw new CapstanError("unsupported", {
      action: "read config.json",
      need: `model_type ${knownArchitectures().join(" or ")}`,
      found: show(type ?? null),
      mend: "CONTRIBUTING.md says how to add an architecture.",
    });
  }
  const decoder = build(new ConfigReader(config));
  const more =
    generation === undefined
      ? []
      : new ConfigReader(generation, "generation_config.json").ids("eos_token_id");
  decoder.spec.eos_token_ids = [...new Set([...decoder.spec.eos_token_ids, ...more])];
  return decoder;
}
