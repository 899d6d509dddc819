import { CapstanError, isObject, show, type Warn } from "../../../models/index.ts";
import type { FileSource } from "../../types.ts";
import { isPlainName, readSourceJson } from "../source/index.ts";

const SINGLE = "model.safetensors";
export const INDEX = "model.safetensors.index.json";
/** Most shards that are looked for by name where no index names them. */
const MOST_UNNAMED = 64;

/** The weight files of a model. */
export interface WeightFiles {
  /** Sorted. */
  names: string[];
  /**
   * What an index says of each tensor's file; null without one. Only the files it names count: which tensors they hold
   * is for their own headers to say.
   */
  index: ReadonlyMap<string, string> | null;
}

/**
 * Finds the weight files: `model.safetensors`, or else the shards that its index names, or else those named as shards
 * are (`model-00001-of-00002.safetensors`).
 *
 * @param warn called with a sentence for what was odd
 * @throws CapstanError `not_found` when there are none, `bad_file` for an index that is not one
 */
export async function findWeightFiles(source: FileSource, warn: Warn = () => {}): Promise<WeightFiles> {
  if ((await source.size(SINGLE)) !== undefined) return { names: [SINGLE], index: null };
  const json = await readSourceJson(source, INDEX);
  if (json === undefined) return { names: await findShards(source, warn), index: null };
  const index = readWeightMap(json);
  const names = [...new Set(index.values())].sort();
  for (const name of names) await needShard(source, name, `load ${INDEX}`, "which it names");
  return { names, index };
}

/** Shards that no index names: the first tells how many there are. */
async function findShards(source: FileSource, warn: Warn): Promise<string[]> {
  const counts = Array.from({ length: MOST_UNNAMED }, (_, i) => i + 1);
  const sizes = await Promise.all(counts.map((count) => source.size(shardName(1, count))));
  const count = counts[sizes.findIndex((size) => size !== undefined)];
  if (count === undefined) throw await nothingFound(source);
  const names = Array.from({ length: count }, (_, i) => shardName(i + 1, count));
  for (const name of names) await needShard(source, name, "load a model", `one of ${count} shards`);
  warn(`There is no ${INDEX}: the ${count} shards were found by their names.`);
  return names;
}

function shardName(number: number, count: number): string {
  const digits = (n: number) => String(n).padStart(5, "0");
  return `model-${digits(number)}-of-${digits(count)}.safetensors`;
}

async function needShard(source: FileSource, name: string, action: string, why: string): Promise<void> {
  if ((await source.size(name)) !== undefined) return;
  const parts = {
    action,
    need: `${show(name)}, ${why}`,
    found: "no such file",
    fix: "Fetch the missing file.",
  };
  throw new CapstanError("not_found", parts);
}

async function nothingFound(source: FileSource): Promise<CapstanError> {
  const pickled = (await source.size("pytorch_model.bin")) !== undefined;
  return new CapstanError("not_found", {
    action: "load a model",
    need: `${SINGLE} or ${INDEX}`,
    found: pickled ? "pytorch_model.bin only" : "neither",
    fix: pickled
      ? "Save it again from Python with save_pretrained(..., safe_serialization=True)."
      : "Give the folder that holds config.json and *.safetensors.",
  });
}

function readWeightMap({ weight_map: map }: Record<string, unknown>): Map<string, string> {
  if (!isObject(map) || Object.keys(map).length === 0) {
    throw badIndex("weight_map with a file for each tensor", show(map ?? null));
  }
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== "string" || !isPlainName(file) || !file.endsWith(".safetensors")) {
      throw badIndex(`a safetensors file of the same folder for ${show(tensor)}`, show(file));
    }
  }
  return new Map(Object.entries(map as Record<string, string>));
}

function badIndex(need: string, found: string): CapstanError {
  return new CapstanError("bad_file", { action: `load ${INDEX}`, need, found });
}
