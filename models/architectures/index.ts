import { ConfigReader, type RawConfig } from "../config.ts";
import { CapstanError, show } from "../errors.ts";
import { isObject } from "../json.ts";
import type { Decoder } from "../spec.ts";
import type { Warn } from "../warn.ts";
import { arcee } from "./arcee.ts";
import { cohere } from "./cohere.ts";
import { cohere2 } from "./cohere2.ts";
import { ernie4_5 } from "./ernie4_5.ts";
import { exaone4 } from "./exaone4.ts";
import { gemma } from "./gemma.ts";
import { gemma2 } from "./gemma2.ts";
import { gemma3, gemma3Text } from "./gemma3.ts";
import { glm } from "./glm.ts";
import { glm4 } from "./glm4.ts";
import { gptNeo } from "./gpt_neo.ts";
import { gptNeox } from "./gpt_neox.ts";
import { gpt2 } from "./gpt2.ts";
import { gptj } from "./gptj.ts";
import { granite } from "./granite.ts";
import { graniteMoeHybrid } from "./granitemoehybrid.ts";
import { helium } from "./helium.ts";
import { jais2 } from "./jais2.ts";
import { llama } from "./llama.ts";
import { mellum } from "./mellum.ts";
import { ministral } from "./ministral.ts";
import { ministral3 } from "./ministral3.ts";
import { mistral } from "./mistral.ts";
import { mistral3 } from "./mistral3.ts";
import { mixtral } from "./mixtral.ts";
import { nemotron } from "./nemotron.ts";
import { whyNotRun } from "./not_run.ts";
import { olmo2 } from "./olmo2.ts";
import { olmo3 } from "./olmo3.ts";
import { olmoe } from "./olmoe.ts";
import { opt } from "./opt.ts";
import { phi } from "./phi.ts";
import { phi3 } from "./phi3.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen3 } from "./qwen3.ts";
import { qwen3Moe } from "./qwen3_moe.ts";
import { seedOss } from "./seed_oss.ts";
import { smollm3 } from "./smollm3.ts";
import { stablelm } from "./stablelm.ts";
import { starcoder2 } from "./starcoder2.ts";
import { vaultGemma } from "./vaultgemma.ts";

/** A family: what it makes of a config.json. */
export type Architecture = (config: ConfigReader) => Decoder;

/** Every family, by `model_type`. Adding one is a file beside this and a line here (CONTRIBUTING). */
const ARCHITECTURES: Record<string, Architecture> = {
  arcee,
  cohere,
  cohere2,
  ernie4_5,
  exaone4,
  gemma,
  gemma2,
  gemma3,
  gemma3_text: gemma3Text,
  glm,
  glm4,
  gpt2,
  gpt_neo: gptNeo,
  gpt_neox: gptNeox,
  gptj,
  granite,
  granitemoehybrid: graniteMoeHybrid,
  helium,
  jais2,
  llama,
  mellum,
  ministral,
  ministral3,
  mistral,
  mistral3,
  mixtral,
  nemotron,
  olmo2,
  olmo3,
  olmoe,
  opt,
  phi,
  phi3,
  qwen2,
  qwen3,
  qwen3_moe: qwen3Moe,
  seed_oss: seedOss,
  smollm3,
  stablelm,
  starcoder2,
  vaultgemma: vaultGemma,
};

/**
 * Adds a family from outside this folder, for every model loaded from then on; a known `model_type` is replaced.
 *
 * @returns a function that takes it away again
 * @example
 * // A family that is Llama under another name.
 * const remove = addArchitecture("my_llama", ({ raw }) => readDecoder({ ...raw, model_type: "llama" }));
 * knownArchitectures().includes("my_llama"); // true
 * remove();
 */
export function addArchitecture(model_type: string, build: Architecture): () => void {
  const before = ADDED.get(model_type);
  ADDED.set(model_type, build);
  return () => {
    if (before === undefined) ADDED.delete(model_type);
    else ADDED.set(model_type, before);
  };
}

const ADDED = new Map<string, Architecture>();

/** The `model_type`s this runtime knows, sorted. */
export function knownArchitectures(): string[] {
  return [...new Set([...Object.keys(ARCHITECTURES), ...ADDED.keys()])].sort();
}

/**
 * The decoder a config.json describes.
 *
 * @param config the parsed config.json
 * @param generation the parsed generation_config.json, whose `eos_token_id` is added to the config's
 * @param warn called with a sentence for a field that was passed over
 * @throws CapstanError `unsupported` for an unknown `model_type` (the known ones are listed), `bad_config`
 *   for a missing or impossible field
 */
export function readDecoder(config: RawConfig, generation?: RawConfig, warn?: Warn): Decoder {
  if (!isObject(config)) {
    throw new CapstanError("bad_config", {
      action: "read config.json",
      need: "an object",
      found: show(config),
    });
  }
  const type = config.model_type;
  const build = typeof type === "string" ? architecture(type) : undefined;
  if (build === undefined) {
    throw new CapstanError("unsupported", {
      action: "read config.json",
      need: `model_type ${knownArchitectures().join(" or ")}`,
      found: `${show(type ?? null)}${whyNotRun(type)}`,
      fix: "CONTRIBUTING.md says how to add an architecture.",
    });
  }
  const decoder = build(new ConfigReader(config, "config.json", warn));
  const more =
    generation === undefined
      ? []
      : new ConfigReader(generation, "generation_config.json", warn).ids("eos_token_id", "ignore");
  decoder.spec.eos_token_ids = [...new Set([...decoder.spec.eos_token_ids, ...more])];
  return decoder;
}

function architecture(type: string): Architecture | undefined {
  return ADDED.get(type) ?? (Object.hasOwn(ARCHITECTURES, type) ? ARCHITECTURES[type] : undefined);
}
