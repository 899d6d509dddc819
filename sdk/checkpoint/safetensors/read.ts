import { headerLength } from "../../../core-wasm/engine/safetensors.ts";
import { CapstanError, show } from "../../../models/index.ts";
import type { FileSource } from "../../types.ts";
import { type Dtype, toFloat32 } from "./dtypes.ts";
import { parseHeader, type TensorInfo } from "./header.ts";

/** A tensor in memory. `data` is little-endian, row-major, and shares the file's bytes. */
export interface Tensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
  /** Its elements as float32, in a copy. Throws `unsupported` for 64-bit integers and complex numbers. */
  float32(): Float32Array;
}

/** A tensor in a file, read when asked for. */
export interface FileTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly byte_length: number;
  /** Bytes [start, end) of its data; in `into`, where there is some and the source makes use of it. */
  read(start: number, end: number, into?: Uint8Array): Promise<Uint8Array>;
  /** All of it as float32. */
  float32(): Promise<Float32Array>;
}

/**
 * Reads a whole safetensors file that is in memory.
 *
 * @param file what to call it in errors
 * @throws CapstanError `bad_file`
 * @example
 * const bytes = encodeSafetensors({ a: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } });
 * [...decodeSafetensors(bytes).tensors.get("a").float32()]; // [1,2]
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  file = "safetensors",
): { metadata: Record<string, string>; tensors: Map<string, Tensor> } {
  const length = headerLength(bytes, bytes.length, file);
  const header = parseHeader(bytes.subarray(8, 8 + length), bytes.length, file);
  const tensors = new Map<string, Tensor>();
  for (const { name, dtype, shape, start, end } of header.tensors) {
    const data = bytes.subarray(start, end);
    tensors.set(name, { dtype, shape, data, float32: () => toFloat32(dtype, data, name) });
  }
  return { metadata: header.metadata, tensors };
}

/** Another check of a header's bytes, which throws: weights ask the official crate in the engine. */
export type HeaderCheck = (header: Uint8Array, file_bytes: number, file: string) => void;

/**
 * Opens a safetensors file by its header alone; tensors are read by byte range.
 *
 * @throws CapstanError `not_found`, `bad_file`
 * @example
 * const { tensors } = await openSafetensors(source, "model.safetensors");
 * const embedding = await tensors.get("model.embed_tokens.weight").float32();
 */
export async function openSafetensors(
  source: FileSource,
  file: string,
  check?: HeaderCheck,
): Promise<{
  metadata: Record<string, string>;
  tensors: Map<string, FileTensor>;
  /** Size of the file and of its header with the 8 bytes before it. */
  file_bytes: number;
  header_bytes: number;
}> {
  const file_bytes = await source.size(file);
  if (file_bytes === undefined) {
    const parts = { action: `read ${file}`, need: "the file", found: "none of that name" };
    throw new CapstanError("not_found", parts);
  }
  const length = headerLength(await readExactly(source, file, 0, Math.min(8, file_bytes)), file_bytes, file);
  const bytes = await readExactly(source, file, 8, 8 + length);
  const header = parseHeader(bytes, file_bytes, file);
  check?.(bytes, file_bytes, file);
  const tensors = new Map<string, FileTensor>();
  for (const info of header.tensors) tensors.set(info.name, fileTensor(source, file, info));
  return { metadata: header.metadata, tensors, file_bytes, header_bytes: 8 + length };
}

function fileTensor(source: FileSource, file: string, info: TensorInfo): FileTensor {
  const { name, dtype, shape } = info;
  const byte_length = info.end - info.start;
  const read = async (start: number, end: number, into?: Uint8Array) => {
    if (!(Number.isSafeInteger(start) && Number.isSafeInteger(end)) || start < 0 || end > byte_length) {
      throw new CapstanError("bad_request", {
        action: `read tensor ${show(name)} of ${file}`,
        need: `a range within its ${byte_length} bytes`,
        found: `${start} to ${end}`,
      });
    }
    return await readExactly(source, file, info.start + start, info.start + end, into);
  };
  const float32 = async () => toFloat32(dtype, await read(0, byte_length), name);
  return { name, dtype, shape, byte_length, read, float32 };
}

/** A source that gives fewer bytes than it was asked for must not pass as the data. */
async function readExactly(
  source: FileSource,
  file: string,
  start: number,
  end: number,
  into?: Uint8Array,
): Promise<Uint8Array> {
  const bytes = await source.read(file, start, end, into);
  if (bytes.length === end - start) return bytes;
  throw new CapstanError("bad_file", {
    action: `read ${file}`,
    need: `bytes ${start} to ${end}`,
    found: `${bytes.length} bytes`,
    fix: "The file may be cut short: fetch it again.",
  });
}
