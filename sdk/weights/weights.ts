import {
  CapstanError,
  isFileDtype,
  isObject,
  type RawConfig,
  show,
  type TensorSpec,
  type WeightSource,
  type WeightTensor,
} from "../../models/index.ts";
import { engine } from "../platform/engine.ts";
import { type FileTensor, openSafetensors } from "../safetensors/index.ts";
import type { FileSource } from "../types.ts";
import { findWeightFiles, type WeightFiles } from "./files.ts";
import { decodeFloat8, isFloat8, scaleNames } from "./float8.ts";
import { resolveNames } from "./names.ts";

/** Weights of which some may be missing. */
export interface OpenedWeights extends WeightSource {
  has(name: string): boolean;
}

/**
 * Opens a model's weights: headers only. Every tensor of the table must be there, with its shape and a dtype that
 * weights may have; tensors beyond the table (old rotary tables, a vision tower) are left alone.
 *
 * @param specs the tensors the program needs (`tensorSpecs(buildProgram(decoder))`), the embedding first
 * @param config config.json, for what it says of quantization
 * @param optional names of `specs` that may be missing: `has` says
 * @throws CapstanError `not_found` (no weight files, or one of them missing), `bad_file` (one is damaged),
 *   `bad_weights` (a tensor is missing or not as config.json says)
 */
export async function openWeights(
  source: FileSource,
  specs: readonly TensorSpec[],
  config: RawConfig = {},
  optional: readonly string[] = [],
): Promise<OpenedWeights> {
  const checkpoint = await Checkpoint.open(source, readQuantization(config));
  const nameOf = resolveNames(
    specs.map(({ name }) => name),
    (name) => checkpoint.has(name),
  );
  const checked = new Map<string, WeightTensor>();
  for (const spec of specs) {
    const name = nameOf(spec.name);
    if (optional.includes(spec.name) && !checkpoint.has(name)) continue;
    checked.set(spec.name, await checkpoint.weight({ ...spec, name }));
  }
  return {
    has: (name) => checked.has(name),
    tensor(name) {
      const tensor = checked.get(name);
      if (tensor !== undefined) return tensor;
      throw badWeights("the weights", `a tensor of the program`, name);
    },
  };
}

/** `quantization_config`, where the checkpoint has been quantized. */
function readQuantization({ quantization_config: value }: RawConfig): RawConfig | undefined {
  if (value === undefined || value === null) return undefined;
  if (isObject(value)) return value;
  const parts = { action: "read config.json", need: "quantization_config as an object", found: show(value) };
  throw new CapstanError("bad_config", parts);
}

/** The tensors of all weight files, each file opened when a tensor of it is first asked for. */
class Checkpoint {
  readonly #source: FileSource;
  readonly #files: WeightFiles;
  readonly #quantization: RawConfig | undefined;
  readonly #check: (header: Uint8Array, file_bytes: number, file: string) => void;
  readonly #opened = new Map<string, Map<string, FileTensor>>();

  private constructor(
    source: FileSource,
    files: WeightFiles,
    quantization: RawConfig | undefined,
    check: (header: Uint8Array, file_bytes: number, file: string) => void,
  ) {
    this.#source = source;
    this.#files = files;
    this.#quantization = quantization;
    this.#check = check;
  }

  static async open(source: FileSource, quantization: RawConfig | undefined): Promise<Checkpoint> {
    const files = await findWeightFiles(source);
    // The official safetensors crate, in the engine, has the last word on headers.
    const crate = await engine();
    const checkpoint = new Checkpoint(source, files, quantization, (header, file_bytes, file) => {
      crate.parseSafetensorsHeader(header, file_bytes, file);
    });
    // Without an index the one file's header says what there is.
    if (files.names.length === 1) await checkpoint.#tensors(files.names[0]!);
    return checkpoint;
  }

  has(name: string): boolean {
    const file = this.#files.fileOf(name);
    return file !== undefined && (this.#opened.get(file)?.has(name) ?? true);
  }

  /** The tensor as devices take it. */
  async weight(spec: TensorSpec): Promise<WeightTensor> {
    const file = this.#files.fileOf(spec.name);
    if (file === undefined) throw this.#missing(spec, "model.safetensors.index.json");
    const tensor = (await this.#tensors(file)).get(spec.name);
    if (tensor === undefined) throw this.#missing(spec, file);
    const { shape, dtype } = tensor;
    if (shape.length !== spec.shape.length || shape.some((size, i) => size !== spec.shape[i])) {
      throw badWeights(file, signature(spec), `[${shape.join(", ")}]`, OTHER_MODEL);
    }
    if (isFloat8(dtype))
      return decodeFloat8(tensor, await this.#scaleOf(spec.name), this.#quantization, file);
    if (isFileDtype(dtype)) return { ...tensor, dtype };
    const mend = "Quantized checkpoints other than 8-bit floats are not read: take the original one.";
    throw badWeights(file, `${spec.name} as F32, F16, BF16, F8_E4M3 or F8_E5M2`, dtype, mend);
  }

  async #tensors(file: string): Promise<Map<string, FileTensor>> {
    const known = this.#opened.get(file);
    if (known !== undefined) return known;
    const { tensors } = await openSafetensors(this.#source, file, this.#check);
    this.#opened.set(file, tensors);
    return tensors;
  }

  async #scaleOf(weight: string): Promise<FileTensor | undefined> {
    const name = scaleNames(weight).find((one) => this.has(one));
    if (name === undefined) return undefined;
    return (await this.#tensors(this.#files.fileOf(name)!)).get(name);
  }

  #missing(spec: TensorSpec, file: string): CapstanError {
    const method = this.#quantization?.quant_method;
    const mend =
      method === undefined || this.has(spec.name)
        ? OTHER_MODEL
        : `It was quantized with ${show(method)}; of quantized checkpoints only 8-bit floats are read: take the original one.`;
    return badWeights(file, signature(spec), "no such tensor", mend);
  }
}

function signature({ name, shape }: TensorSpec): string {
  return `${name} [${shape.join(", ")}]`;
}

const OTHER_MODEL = "The file may be of another model than config.json.";

function badWeights(file: string, need: string, found: string, mend?: string): CapstanError {
  const parts = { action: `load ${file}`, need, found };
  return new CapstanError("bad_weights", mend === undefined ? parts : { ...parts, mend });
}
