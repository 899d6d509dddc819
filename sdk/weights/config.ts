import { CapstanError, ConfigReader, type Decoder, type RawConfig, readDecoder } from "../../models/index.ts";
import { readSourceJson } from "../source/index.ts";
import type { FileSource, Model } from "../types.ts";

/** Sampling defaults a model's makers chose; what they left open is absent. */
export type SamplingDefaults = Model["defaults"];

/**
 * Reads what kind of model a source holds.
 *
 * @param n_ctx the context that is wanted, in tokens (`readDecoder`)
 * @throws CapstanError `not_found` without config.json, `bad_file`, `bad_config`, `unsupported`
 */
export async function readModelConfig(
  source: FileSource,
  n_ctx?: number,
): Promise<{ decoder: Decoder; config: RawConfig; defaults: SamplingDefaults }> {
  const config = await readSourceJson(source, "config.json");
  if (config === undefined) {
    throw new CapstanError("not_found", {
      action: "load a model",
      need: "config.json",
      found: "no such file",
      mend: "Give the folder that holds config.json and *.safetensors.",
    });
  }
  const generation = await readSourceJson(source, "generation_config.json");
  const decoder = readDecoder(config, generation, n_ctx);
  return { decoder, config, defaults: generation === undefined ? {} : readDefaults(generation) };
}

/** Sampling fields of a generation_config.json. `do_sample: false` is how it says greedy. */
export function readDefaults(generation: RawConfig): SamplingDefaults {
  const fields = new ConfigReader(generation, "generation_config.json");
  const defaults: SamplingDefaults = {};
  const read = (name: "temperature" | "top_p" | "min_p", least: number) => {
    if (!fields.has(name)) return;
    const value = fields.number(name);
    if (value < least) fields.refuse(name, value, `at least ${least}`);
    defaults[name] = value;
  };
  read("temperature", 0);
  read("top_p", 0);
  read("min_p", 0);
  if (fields.has("repetition_penalty")) defaults.repetition_penalty = fields.positive("repetition_penalty");
  if (fields.has("top_k")) defaults.top_k = fields.int("top_k", 0, 0);
  if (fields.has("do_sample") && !fields.bool("do_sample")) defaults.temperature = 0;
  return defaults;
}
