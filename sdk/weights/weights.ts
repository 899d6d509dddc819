import {
  CapstanError,
  type FileDtype,
  type TensorSpec,
  type WeightSource,
  type WeightTensor,
} from "../../models/index.ts";
import { engine } from "../platform/engine.ts";
import { type FileTensor, openSafetensors } from "../safetensors/index.ts";
import type { FileSource } from "../types.ts";
import { findWeightFiles, type WeightFiles } from "./files.ts";

const WEIGHT_DTYPES: readonly string[] = ["F32", "F16", "BF16"] satisfies FileDtype[];

/**
 * Opens a model's weights: headers only. Every tensor of the table must be there, with its shape and a dtype that
 * weights may have; tensors beyond the table (a tied head, old rotary tables) are left alone.
 *
 * @param specs the tensors the program needs (`tensorSpecs(buildProgram(decoder))`)
 * @throws CapstanError `not_found` (no weight files, or one of them missing), `bad_file` (one is damaged),
 *   `bad_weights` (a tensor is missing or not as config.json says)
 */
export async function openWeights(source: FileSource, specs: readonly TensorSpec[]): Promise<WeightSource> {
  const files = await findWeightFiles(source);
  // The official safetensors crate, in the engine, has the last word on headers.
  const crate = await engine();
  const check = (header: Uint8Array, file_bytes: number, file: string) => {
    crate.parseSafetensorsHeader(header, file_bytes, file);
  };
  const opened = new Map<string, Map<string, FileTensor>>();
  const checked = new Map<string, WeightTensor>();
  for (const spec of specs) {
    const file = fileFor(files, spec);
    const tensors = opened.get(file) ?? (await openSafetensors(source, file, check)).tensors;
    opened.set(file, tensors);
    checked.set(spec.name, checkTensor(tensors.get(spec.name), spec, file));
  }
  return {
    tensor(name) {
      const tensor = checked.get(name);
      if (tensor !== undefined) return tensor;
      throw badWeights("the weights", `a tensor of the program`, name);
    },
  };
}

function fileFor(files: WeightFiles, spec: TensorSpec): string {
  const file = files.fileOf(spec.name);
  if (file !== undefined) return file;
  throw badWeights("model.safetensors.index.json", signature(spec), "no such tensor", OTHER_MODEL);
}

function checkTensor(tensor: FileTensor | undefined, spec: TensorSpec, file: string): WeightTensor {
  if (tensor === undefined) throw badWeights(file, signature(spec), "no such tensor", OTHER_MODEL);
  const { shape, dtype } = tensor;
  if (shape.length !== spec.shape.length || shape.some((size, i) => size !== spec.shape[i])) {
    throw badWeights(file, signature(spec), `[${shape.join(", ")}]`, OTHER_MODEL);
  }
  if (!isWeightDtype(dtype)) {
    const mend = "Quantized checkpoints are not read: take the original one.";
    throw badWeights(file, `${spec.name} as F32, F16 or BF16`, dtype, mend);
  }
  return { ...tensor, dtype };
}

function isWeightDtype(dtype: string): dtype is FileDtype {
  return WEIGHT_DTYPES.includes(dtype);
}

function signature({ name, shape }: TensorSpec): string {
  return `${name} [${shape.join(", ")}]`;
}

const OTHER_MODEL = "The file may be of another model than config.json.";

function badWeights(file: string, need: string, found: string, mend?: string): CapstanError {
  const parts = { action: `load ${file}`, need, found };
  return new CapstanError("bad_weights", mend === undefined ? parts : { ...parts, mend });
}
