import { CapstanError, show } from "../../models/index.ts";
import { decodeSafetensors, encodeSafetensors, type Tensor } from "../checkpoint/safetensors/index.ts";
import type { Rule } from "../common/options.ts";
import * as rules from "../common/options.ts";
import { fileKind, readFile } from "../platform/index.ts";
import type { FileSource } from "../types.ts";
import { contentDigest } from "./content_digest.ts";

/** The experiment's own files: safetensors whose metadata values are JSON texts. Axis, cap, activation shard. */

/** A tensor to be written, row-major. */
export interface NumberTensor {
  shape: readonly number[];
  data: Float32Array | Int32Array;
}

/** Where such a file may come from: a path, its bytes, or a name in a file source. */
export type FileInput = string | Uint8Array | { files: FileSource; name: string };

/** What a file holds. A metadata value of undefined is left out. */
export interface FileContent {
  tensors: Record<string, NumberTensor>;
  metadata: Record<string, unknown>;
}

export function encodeTensorFile({ tensors, metadata }: FileContent): Uint8Array {
  const entries = Object.entries(tensors).map(([name, { shape, data }]) => {
    return [name, { dtype: dtypeOf(data), shape, data }] as const;
  });
  return encodeSafetensors(Object.fromEntries(entries), textsOf(metadata));
}

/** As `encodeTensorFile`, with the content's digest in the metadata: `TensorFile.checkContent` goes by it. */
export function encodeWithDigest(content: FileContent): Uint8Array {
  const { tensors, metadata } = content;
  return encodeTensorFile({ tensors, metadata: { ...metadata, [DIGEST]: digestOf(content) } });
}

/** What `encodeWithDigest` writes as the content's digest. */
export function digestOf({ tensors, metadata }: FileContent): string {
  const entries = Object.entries(tensors).map(([name, { shape, data }]) => {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return [name, { dtype: dtypeOf(data), shape, data: bytes }] as const;
  });
  return contentDigest(entries, textsOf(metadata));
}

const DIGEST = "content_digest";

function dtypeOf(data: NumberTensor["data"]): "F32" | "I32" {
  return data instanceof Float32Array ? "F32" : "I32";
}

function textsOf(metadata: FileContent["metadata"]): Record<string, string> {
  const given = Object.entries(metadata).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [name, JSON.stringify(value)]));
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
      const bytes = await readFile(input);
      if (bytes.length === 0) throw emptyFile(input, what, fix);
      return new TensorFile(bytes, input);
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
    const found = this.json<number>("format_version", rules.number());
    if (found !== version) throw this.#bad(`format_version ${version}`, show(found));
  }

  /** Checks that all of it is as it was written; a file of before digests were written has none, and passes. */
  checkContent(): void {
    if (!this.hasMetadata(DIGEST)) return;
    const { [DIGEST]: _, ...metadata } = this.#metadata;
    const written = this.json<string>(DIGEST, rules.text);
    const found = contentDigest(this.#tensors, metadata);
    if (found === written) return;
    const fix = `It was changed or damaged since: write it again. Where you changed it yourself, remove ${DIGEST} from its metadata.`;
    throw this.#bad(`the content of ${DIGEST} ${written}`, found, fix);
  }

  /** A metadata value by its JSON, as a rule has it. */
  json<T>(key: string, rule: Rule): T {
    const text = this.#metadata[key];
    if (text === undefined) throw this.#bad(`metadata ${show(key)}`, "none");
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw this.#bad(`metadata ${show(key)} as JSON`, show(text));
    }
    if (!rule.fits(value)) throw this.#bad(`metadata ${show(key)} to be ${rule.need}`, show(value));
    return value as T;
  }

  hasMetadata(key: string): boolean {
    return Object.hasOwn(this.#metadata, key);
  }

  has(tensor: string): boolean {
    return this.#tensors.has(tensor);
  }

  /** Sizes of a tensor of so many axes. */
  shape(tensor: string, rank: number): readonly number[] {
    this.#checkShape(tensor, new Array(rank).fill(-1));
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

  /** Refuses the file for what its values say together. */
  refuse(need: string, found: string): never {
    throw this.#bad(need, found);
  }

  #bad(need: string, found: string, fix?: string): CapstanError {
    const parts = { action: `read ${this.name}`, need, found };
    return new CapstanError("bad_file", fix === undefined ? parts : { ...parts, fix });
  }
}

function emptyFile(name: string, what: string, fix: string | undefined): CapstanError {
  const parts = { action: `read ${name}`, need: `a file such as ${what}`, found: "an empty one" };
  return new CapstanError("bad_file", fix === undefined ? parts : { ...parts, fix });
}

function noFile(name: string, fix: string | undefined): CapstanError {
  const parts = { action: `read ${name}`, need: "it to exist", found: "nothing there" };
  return new CapstanError("not_found", fix === undefined ? parts : { ...parts, fix });
}
