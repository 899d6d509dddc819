import {
  CapstanError,
  ConfigReader,
  type Decoder,
  type RawConfig,
  readDecoder,
  type Warn,
} from "../../../models/index.ts";
import { SAMPLING_RULES } from "../../common/sampling_rules.ts";
import type { FileSource, Model } from "../../types.ts";
import { readSourceJson } from "../source/index.ts";

/** Sampling defaults a model's makers chose; what they left open is absent. */
export type SamplingDefaults = Model["defaults"];

const DEFAULTS = ["temperature", "top_k", "top_p", "min_p", "repetition_penalty"] as const;

/**
 * Reads what kind of model a source holds.
 *
 * @param warn called with a sentence for each field that was passed over
 * @throws CapstanError `not_found` without config.json, `bad_file`, `bad_config`, `unsupported`
 */
export async function readModelConfig(
  source: FileSource,
  warn?: Warn,
): Promise<{ decoder: Decoder; config: RawConfig; defaults: SamplingDefaults }> {
  const config = await readSourceJson(source, "config.json");
  if (config === undefined) {
    throw new CapstanError("not_found", {
      action: "load a model",
      need: "config.json",
      found: "no such file",
      fix: "Give the folder that holds config.json and *.safetensors.",
    });
  }
  const generation = await readGeneration(source, warn);
  const decoder = readDecoder(config, generation, warn);
  return { decoder, config, defaults: generation === undefined ? {} : readDefaults(generation, warn) };
}

/** generation_config.json, which only holds defaults: one that is damaged is passed over, as transformers does. */
async function readGeneration(source: FileSource, warn: Warn | undefined): Promise<RawConfig | undefined> {
  try {
    return await readSourceJson(source, "generation_config.json");
  } catch (error) {
    if (!(error instanceof CapstanError && error.code === "bad_file")) throw error;
    warn?.(`generation_config.json is not read: it needs ${error.parts.need} and has ${error.parts.found}.`);
    return undefined;
  }
}

/**
 * Sampling fields of a generation_config.json. `do_sample: false` is how it says greedy. A value that a call could not
 * be given (`top_k: -1`) means nothing and is passed over.
 *
 * @param warn called with a sentence for each field that was passed over
 */
export function readDefaults(generation: RawConfig, warn?: Warn): SamplingDefaults {
  const fields = new ConfigReader(generation, "generation_config.json", warn);
  const defaults: SamplingDefaults = {};
  for (const name of DEFAULTS) {
    if (!fields.has(name)) continue;
    const value = generation[name];
    const { fits, need } = SAMPLING_RULES[name];
    if (fits(value)) defaults[name] = value as number;
    else fields.ignore(name, need, value);
  }
  const { do_sample } = generation;
  if (do_sample === false) defaults.temperature = 0;
  else if (fields.has("do_sample") && do_sample !== true)
    fields.ignore("do_sample", "true or false", do_sample);
  return defaults;
}
