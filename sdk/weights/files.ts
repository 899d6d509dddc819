import { CapstanError, isObject, show } from "../../models/index.ts";
import { isPlainName, readSourceJson } from "../source/index.ts";
import type { FileSource } from "../types.ts";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";

/** The weight files of a model, and which of them holds a tensor. */
export interface WeightFiles {
  /** Sorted. */
  names: string[];
  /** The file a tensor should be in; undefined where no file claims it. */
  fileOf(tensor: string): string | undefined;
}

/**
 * Finds the weight files: `model.safetensors`, or else the shards that its index names.
 *
 * @throws CapstanError `not_found` when there are none, `bad_file` for an index that is not one
 */
export async function findWeightFiles(source: FileSource): Promise<WeightFiles> {
  if ((await source.size(SINGLE)) !== undefined) return { names: [SINGLE], fileOf: () => SINGLE };
  const index = await readSourceJson(source, INDEX);
  if (index === undefined) {
    const pickled = (await source.size("pytorch_model.bin")) !== undefined;
    throw new CapstanError("not_found", {
      action: "load a model",
      need: `${SINGLE} or ${INDEX}`,
      found: pickled ? "pytorch_model.bin only" : "neither",
      mend: pickled
        ? "Save it again from Python with save_pretrained(..., safe_serialization=True)."
        : "Give the folder that holds config.json and *.safetensors.",
    });
  }
  const map = readWeightMap(index);
  const names = [...new Set(map.values())].sort();
  for (const name of names) {
    if ((await source.size(name)) === undefined) {
      const mend = "Fetch the missing file.";
      throw new CapstanError("not_found", {
        action: `load ${INDEX}`,
        need: `${show(name)}, which it names`,
        found: "no such file",
        mend,
      });
    }
  }
  return { names, fileOf: (tensor) => map.get(tensor) };
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
