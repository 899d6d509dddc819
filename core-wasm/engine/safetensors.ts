import { CapstanError } from "../../models/errors.ts";

/** A tensor of a file: bytes [start, end) counted from the file's start. */
export interface TensorPlace {
  dtype: string;
  shape: number[];
  start: number;
  end: number;
}

export interface SafetensorsHeader {
  metadata: Record<string, string>;
  tensors: Record<string, TensorPlace>;
}

/** Longest header that the format's own crate accepts, in bytes. */
const LONGEST_HEADER = 100_000_000;

/**
 * The length of a safetensors file's header (the JSON from byte 8 on), from the file's first 8 bytes.
 *
 * @param first the first 8 bytes, or all there are
 * @param file_size the whole file's size in bytes: nothing longer is ever asked to be read
 * @throws CapstanError `bad_file`
 */
export function headerLength(first: Uint8Array, file_size: number, file = "a safetensors file"): number {
  const action = `read ${file}`;
  if (first.length < 8 || file_size < 8) {
    const found = `${Math.min(first.length, file_size)} bytes`;
    throw new CapstanError("bad_file", { action, need: "the 8 bytes of a header's length", found });
  }
  const length = new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true);
  const most = Math.min(LONGEST_HEADER, file_size - 8);
  if (length <= BigInt(most)) return Number(length);
  throw new CapstanError("bad_file", {
    action,
    need: `a header of at most ${most} bytes`,
    found: `${length}`,
    fix: "The file may be cut short, or not a safetensors file.",
  });
}
