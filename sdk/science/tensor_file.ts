import { CapstanError, show } from "../../models/index.ts";
import { decodeSafetensors, encodeSafetensors, type Tensor } from "../checkpoint/safetensors/index.ts";
import { fileKind, readFile } from "../platform/index.ts";
import type { FileSource } from "../types.ts";

/** The experiment's own files: safetensors whose metadata values are JSON texts. Axis, cap, activation shard. */

/** A tensor to be written, row-major. */
export interface NumberTensor {
  shape: readonly number[];
  data: Float32Array | Int32Array;
}

/** Where such a file may come from: a path, its bytes, or a name in a file source. */
export type FileInput = string | Uint8Array | { files: FileSource; name: string };

export function encodeTensorFile(
  tensors: Record<string, NumberTensor>,
  metadata: Record<string, unknown>,
): Uint8Array {
  const entries = Object.entries(tensors).map(([name, { shape, data }]) => {
    return [name, { dtype: data instanceof Float32Array ? "F32" : "I32", shape, data }] as const;
  });
  const texts = Object.entries(metadata)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, JSON.stringify(value)] as const);
  return encodeSafetensors(Object.fromEntries(entries), Object.fromEntries(texts));
}

/** A file read back: every lookup is checked and says what the file lacks. Throws `bad_file` on first use. */
export class TensorFile {
  readonly name: string;
  readonly #metadata: Record<string, string>;
  readonly #tensors: ReadonlyMap<string, Tensor>;

  constructor(bytes: Uint8Array, name: string) {
    const { metadata, tensors } = decodeSafetensors(bytes, name);
    this.name = name;
    this.#metadata = metadata;
    this.#tensors = tensors;
  }

  /** @param fix for the error where there is no such file: what makes one */
  static async read(input: FileInput, what: string, fix?: string): Promise<TensorFile> {
    if (typeof input === "string") {
      if ((await fileKind(input)) === "none") throw noFile(input, fix);
      return new TensorFile(await readFile(input), input);
    }
    if (input instanceof Uint8Array) return new TensorFile(input, what);
    const size = await input.files.size(input.name);
    if (size === undefined) throw noFile(input.name, fix);
    return new TensorFile(await input.files.read(input.name, 0, size), input.name);
  }

  /**
   * Checks what kind of file it is.
   *
   * @param fix for the error: what makes one of this format
   */
  expectFormat(format: string, version: number, fix?: string): void {
    if (this.#metadata.format !== JSON.stringify(format)) {
      throw this.#bad(`metadata format "${format}"`, this.#metadata.format ?? "none", fix);
    }
    const found = this.json<number>("format_version");
    if (found !== version) throw this.#bad(`format_version ${version}`, show(found));
  }

  /** A metadata value by its JSON. */
  json<T>(key: string): T {
    const text = this.#metadata[key];
    if (text === undefined) throw this.#bad(`metadata ${show(key)}`, "none");
    try {
      return JSON.parse(text) as T;
    } catch {
      throw this.#bad(`metadata ${show(key)} as JSON`, show(text));
    }
  }

  hasMetadata(key: string): boolean {
    return Object.hasOwn(this.#metadata, key);
  }

  has(tensor: string): boolean {
    return this.#tensors.has(tensor);
  }

  /** Sizes of a tensor. */
  shape(tensor: string): readonly number[] {
    return this.#get(tensor).shape;
  }

  /** A tensor of one shape (-1 stands for any size) and of finite numbers, unless `infinite_ok`. */
  f32(tensor: string, shape: readonly number[], infinite_ok = false): Float32Array {
    this.#checkShape(tensor, shape);
    const data = this.#get(tensor).float32();
    const bad = data.findIndex((x) => (infinite_ok ? Number.isNaN(x) : !Number.isFinite(x)));
    if (bad >= 0) throw this.#bad(`${tensor} of finite numbers`, `${data[bad]} at element ${bad}`);
    return data;
  }

  i32(tensor: string, shape: readonly number[]): Int32Array {
    this.#checkShape(tensor, shape);
    const { dtype, data } = this.#get(tensor);
    if (dtype !== "I32") throw this.#bad(`${tensor} as I32`, dtype);
    return new Int32Array(data.slice().buffer);
  }

  #checkShape(tensor: string, shape: readonly number[]): void {
    const found = this.#get(tensor).shape;
    const fits = found.length === shape.length && shape.every((size, i) => size === -1 || size === found[i]);
    const sizes = shape.map((size) => (size === -1 ? "any" : size)).join(", ");
    if (!fits) throw this.#bad(`${tensor} [${sizes}]`, `[${found.join(", ")}]`);
  }

  #get(tensor: string): Tensor {
    const found = this.#tensors.get(tensor);
    if (found === undefined) throw this.#bad(`tensor ${tensor}`, "none");
    return found;
  }

  #bad(need: string, found: string, fix?: string): CapstanError {
    const parts = { action: `read ${this.name}`, need, found };
    return new CapstanError("bad_file", fix === undefined ? parts : { ...parts, fix });
  }
}

function noFile(name: string, fix: string | undefined): CapstanError {
  const parts = { action: `read ${name}`, need: "it to exist", found: "nothing there" };
  return new CapstanError("not_found", fix === undefined ? parts : { ...parts, fix });
}
