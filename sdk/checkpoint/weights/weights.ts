import { entryOf, onlyOf } from "../../../models/certain.ts";
import {
  CapstanError,
  isFileDtype,
  isObject,
  type RawConfig,
  show,
  type TensorSpec,
  type Warn,
  type WeightTensor,
} from "../../../models/index.ts";
import { eachOf } from "../../common/pool.ts";
import { engine } from "../../platform/engine.ts";
import type { FileSource } from "../../types.ts";
import { type FileTensor, type HeaderCheck, openSafetensors } from "../safetensors/index.ts";
import { findWeightFiles, INDEX, type WeightFiles } from "./files.ts";
import { decodeFloat8, isFloat8, scaleNames } from "./float8.ts";
import { decodeFloat64 } from "./float64.ts";
import { resolveNames } from "./names.ts";
import type { TensorSource } from "./part.ts";

export interface OpenOptions {
  /** Names of the table that may be missing: `has` says. */
  optional?: readonly string[];
  /** Called with a sentence for what was odd and how it was taken. */
  warn?: Warn;
}

/** Tensors of a checkpoint, of which some may be missing. */
export interface OpenedWeights extends TensorSource {
  has(name: string): boolean;
}

/**
 * Opens a model's weights: headers only. Every tensor of the table must be there, with its shape and a dtype that
 * weights may have; tensors beyond the table (old rotary tables, a vision tower) are left alone, whatever they hold.
 *
 * @param specs the tensors the program needs (`tensorSpecs(buildProgram(decoder))`), the embedding first
 * @param config config.json, for what it says of quantization
 * @throws CapstanError `not_found` (no weight files, or one of them missing), `bad_file` (one is damaged),
 *   `bad_weights` (a tensor is missing or not as config.json says)
 */
export async function openWeights(
  source: FileSource,
  specs: readonly TensorSpec[],
  config: RawConfig = {},
  options: OpenOptions = {},
): Promise<OpenedWeights> {
  const { optional = [], warn = () => {} } = options;
  const checkpoint = await Checkpoint.open(source, readQuantization(config), warn);
  const nameOf = resolveNames(
    specs.map(({ name }) => name),
    (name) => checkpoint.has(name),
  );
  const checked = new Map<string, WeightTensor>();
  for (const spec of specs) {
    const name = nameOf(spec.name);
    if (optional.includes(spec.name) && !checkpoint.has(name)) continue;
    checked.set(spec.name, checkpoint.weight({ ...spec, name }));
  }
  checkpoint.warnOf([...checked.keys()].map(nameOf), warn);
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

/** A tensor and the file it lies in. */
interface Found {
  tensor: FileTensor;
  file: string;
}

/** The tensors of all weight files, by what the files' own headers say. */
class Checkpoint {
  readonly #files: WeightFiles;
  readonly #quantization: RawConfig | undefined;
  readonly #tensors: ReadonlyMap<string, Found>;
  /** Tensors that more than one file has. */
  readonly #repeated: ReadonlySet<string>;

  private constructor(
    files: WeightFiles,
    quantization: RawConfig | undefined,
    tensors: ReadonlyMap<string, Found>,
    repeated: ReadonlySet<string>,
  ) {
    this.#files = files;
    this.#quantization = quantization;
    this.#tensors = tensors;
    this.#repeated = repeated;
  }

  static async open(
    source: FileSource,
    quantization: RawConfig | undefined,
    warn: Warn,
  ): Promise<Checkpoint> {
    const files = await findWeightFiles(source, warn);
    // The official safetensors crate, in the engine, has the last word on headers.
    const crate = await engine();
    const check: HeaderCheck = (...header) => void crate.parseSafetensorsHeader(...header);
    const opened = new Map<string, ReadonlyMap<string, FileTensor>>();
    await eachOf(
      files.names,
      async (file) => void opened.set(file, (await openSafetensors(source, file, check)).tensors),
      { concurrency: FILES_AT_ONCE, action: "load a model" },
    );
    const tensors = new Map<string, Found>();
    const repeated = new Set<string>();
    // Of a tensor in several files the last file's counts, as transformers takes it.
    for (const file of files.names) {
      for (const [name, tensor] of entryOf(opened, file)) {
        if (tensors.has(name)) repeated.add(name);
        tensors.set(name, { tensor, file });
      }
    }
    return new Checkpoint(files, quantization, tensors, repeated);
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** The tensor as devices take it. */
  weight(spec: TensorSpec): WeightTensor {
    const found = this.#tensors.get(spec.name);
    if (found === undefined) throw this.#missing(spec);
    const { tensor, file } = found;
    const { shape, dtype } = tensor;
    if (shape.length !== spec.shape.length || shape.some((size, i) => size !== spec.shape[i])) {
      throw badWeights(file, signature(spec), `[${shape.join(", ")}]`, OTHER_MODEL);
    }
    if (isFloat8(dtype)) return decodeFloat8(tensor, this.#scaleOf(spec.name), this.#quantization, file);
    if (dtype === "F64") return decodeFloat64(tensor, file);
    if (isFileDtype(dtype)) return { ...tensor, dtype };
    const fix = "Quantized checkpoints other than 8-bit floats are not read: take the original one.";
    throw badWeights(file, `${spec.name} as F64, F32, F16, BF16, F8_E4M3 or F8_E5M2`, dtype, fix);
  }

  /** Says of the tensors that are read which of them were not where the index has them. */
  warnOf(names: readonly string[], warn: Warn): void {
    const { index } = this.#files;
    if (index !== null) {
      const moved = names.filter((name) => index.get(name) !== this.#tensors.get(name)?.file);
      if (moved.length > 0) {
        warn(`${INDEX} is wrong about the file of ${some(moved)}: taken from the shard whose header has it.`);
      }
    }
    const repeated = names.filter((name) => this.#repeated.has(name));
    if (repeated.length > 0) warn(`More than one shard has ${some(repeated)}: the last shard's is used.`);
  }

  #scaleOf(weight: string): FileTensor | undefined {
    const name = scaleNames(weight).find((one) => this.has(one));
    return name === undefined ? undefined : this.#tensors.get(name)?.tensor;
  }

  #missing(spec: TensorSpec): CapstanError {
    const method = this.#quantization?.quant_method;
    const fix =
      method === undefined
        ? OTHER_MODEL
        : `It was quantized with ${show(method)}; of quantized checkpoints only 8-bit floats are read: take the original one.`;
    const { names, index } = this.#files;
    const where = index !== null ? INDEX : names.length === 1 ? onlyOf(names) : `${names.length} shards`;
    return badWeights(where, signature(spec), "no such tensor", fix);
  }
}

/** Weight files whose headers are read at the same time. */
const FILES_AT_ONCE = 8;

/** `model.norm.weight`, `a and 2 more`. */
function some(names: readonly string[]): string {
  const [first = ""] = names;
  return names.length === 1 ? first : `${first} and ${names.length - 1} more`;
}

function signature({ name, shape }: TensorSpec): string {
  return `${name} [${shape.join(", ")}]`;
}

const OTHER_MODEL = "The file may be of another model than config.json.";

function badWeights(file: string, need: string, found: string, fix?: string): CapstanError {
  const parts = { action: `load ${file}`, need, found };
  return new CapstanError("bad_weights", fix === undefined ? parts : { ...parts, fix });
}
