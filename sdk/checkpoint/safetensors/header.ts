import { CapstanError, isObject, show } from "../../../models/index.ts";
import { type Dtype, isDtype, itemBits } from "./dtypes.ts";

/** What a safetensors header says of one tensor. */
export interface TensorInfo {
  name: string;
  dtype: Dtype;
  shape: number[];
  /** Where its bytes lie in the file: [start, end). */
  start: number;
  end: number;
}

export interface Header {
  metadata: Record<string, string>;
  /** In the order of their bytes. */
  tensors: TensorInfo[];
}

/**
 * Reads and checks a header. Each tensor's size is its shape's, and the tensors' bytes fill the rest of the file
 * exactly: no gaps, no overlaps. So whoever allocates what a header asks for allocates no more than the file holds.
 * What the official crate refuses is refused here, and what it takes is taken but for names that come twice; a test
 * holds the two against each other. This one is synchronous, needs no engine, and says which tensor is wrong.
 *
 * @param bytes the header's JSON, without the 8 bytes of its length
 * @param file_bytes size of the whole file
 * @throws CapstanError `bad_file` naming the file, the tensor and what is wrong with it
 */
export function parseHeader(bytes: Uint8Array, file_bytes: number, file: string): Header {
  const json = parseJson(bytes, file);
  const tensors: TensorInfo[] = [];
  let metadata: Record<string, string> = {};
  const data_start = 8 + bytes.length;
  for (const [name, value] of Object.entries(json)) {
    if (name === "__metadata__") metadata = readMetadata(value, file);
    else tensors.push(readTensor(name, value, data_start, file));
  }
  // Empty tensors share their start with the next one, so the end decides between them.
  tensors.sort((a, b) => a.start - b.start || a.end - b.end);
  checkCover(tensors, data_start, file_bytes, file);
  return { metadata, tensors };
}

function parseJson(bytes: Uint8Array, file: string): Record<string, unknown> {
  let json: unknown;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    json = JSON.parse(text);
  } catch (cause) {
    throw broken(file, "a JSON header", `bytes that are not JSON`, NOT_THIS_FORMAT, cause);
  }
  if (!isObject(json)) throw broken(file, "a JSON object as header", show(json), NOT_THIS_FORMAT);
  const twice = duplicateKey(text);
  if (twice !== undefined) throw broken(file, "every name once in the header", `${show(twice)} twice`);
  return json;
}

/** The first key that an object of a (valid) JSON text has twice; JSON.parse would keep the last silently. */
function duplicateKey(text: string): string | undefined {
  const open: (Set<string> | null)[] = [];
  let key_next = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "{" || char === "[") {
      open.push(char === "{" ? new Set() : null);
      key_next = char === "{";
    } else if (char === "}" || char === "]") {
      open.pop();
      key_next = false;
    } else if (char === ",") {
      key_next = open.at(-1) !== null;
    } else if (char === '"') {
      const start = i++;
      while (text[i] !== '"') i += text[i] === "\\" ? 2 : 1;
      const keys = key_next ? open.at(-1) : null;
      if (!keys) continue;
      const key: string = JSON.parse(text.slice(start, i + 1));
      if (keys.has(key)) return key;
      keys.add(key);
      key_next = false;
    }
  }
  return undefined;
}

function readMetadata(value: unknown, file: string): Record<string, string> {
  if (value === null) return {};
  if (!isObject(value)) throw broken(file, "__metadata__ as an object of texts", show(value));
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") throw broken(file, `metadata ${show(key)} as text`, show(text));
  }
  return value as Record<string, string>;
}

function readTensor(name: string, value: unknown, data_start: number, file: string): TensorInfo {
  if (!isObject(value)) throw broken(file, `an object for tensor ${show(name)}`, show(value));
  const { dtype, shape, data_offsets } = value;
  if (!isDtype(dtype)) throw broken(file, `a known dtype for tensor ${show(name)}`, show(dtype ?? null));
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    throw broken(file, `a shape of whole numbers for tensor ${show(name)}`, show(shape ?? null));
  }
  if (!Array.isArray(data_offsets) || data_offsets.length !== 2 || !data_offsets.every(isSize)) {
    throw broken(file, `two data_offsets for tensor ${show(name)}`, show(data_offsets ?? null));
  }
  const [start, end] = data_offsets as [number, number];
  const need = byteLength(dtype, shape);
  if (need === undefined || need !== end - start) {
    const found = `data_offsets ${start} to ${end}`;
    throw broken(file, `the bytes of ${dtype} [${shape.join(", ")}] for tensor ${show(name)}`, found);
  }
  return { name, dtype, shape: shape as number[], start: data_start + start, end: data_start + end };
}

/** Bytes of a tensor, or undefined where they are not whole or exceed every number we can count with. */
export function byteLength(dtype: Dtype, shape: readonly number[]): number | undefined {
  let bits = itemBits(dtype);
  for (const size of shape) {
    bits *= size;
    if (!Number.isSafeInteger(bits)) return undefined;
  }
  return bits % 8 === 0 ? bits / 8 : undefined;
}

function checkCover(tensors: TensorInfo[], data_start: number, file_bytes: number, file: string): void {
  let at = data_start;
  for (const { name, start, end } of tensors) {
    if (end > file_bytes) {
      throw broken(file, `bytes ${start} to ${end} for tensor ${show(name)}`, `${file_bytes}`, CUT_SHORT);
    }
    if (start !== at) {
      const found = start < at ? "it begins inside another" : `a gap of ${start - at} bytes before it`;
      throw broken(file, `tensor ${show(name)} right after the one before it`, found);
    }
    at = end;
  }
  if (at !== file_bytes) {
    throw broken(file, `the file to end with its last tensor at byte ${at}`, `${file_bytes} bytes`);
  }
}

function isSize(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

const CUT_SHORT = "The file may be cut short: fetch it again.";
const NOT_THIS_FORMAT = "The file may not be safetensors.";

function broken(file: string, need: string, found: string, fix?: string, cause?: unknown): CapstanError {
  const parts = { action: `read ${file}`, need, found };
  return new CapstanError("bad_file", fix === undefined ? parts : { ...parts, fix }, { cause });
}
