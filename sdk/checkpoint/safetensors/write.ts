import { CapstanError, show } from "../../../models/index.ts";
import { type Dtype, dtypeRank, isDtype } from "./dtypes.ts";
import { byteLength } from "./header.ts";

/** A tensor to write: `data` row-major; its bytes must be those of `dtype` and `shape`. */
export interface TensorData {
  dtype: Dtype;
  shape: readonly number[];
  data: ArrayBufferView;
}

/**
 * A safetensors file as bytes. Equal input gives equal bytes, laid out as the official crate lays them: wider
 * dtypes first, then by name; the header padded with spaces so that the data begins at a multiple of 8.
 *
 * @param metadata texts for the header; numbers and lists go in as JSON text
 * @throws CapstanError `bad_request` when a tensor's data has not the size of its shape
 * @example
 * encodeSafetensors({ axis: { dtype: "F32", shape: [2, 3], data: new Float32Array(6) } }, { format: "pt" });
 */
export function encodeSafetensors(
  tensors: Readonly<Record<string, TensorData>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const entries = Object.entries(tensors).map(([name, tensor]) => ({ name, ...tensor }));
  for (const entry of entries) checkTensor(entry.name, entry);
  entries.sort((a, b) => dtypeRank(b.dtype) - dtypeRank(a.dtype) || (a.name < b.name ? -1 : 1));

  const header = encodeHeader(entries, metadata);
  const total = entries.reduce((sum, { data }) => sum + data.byteLength, 8 + header.length);
  const bytes = new Uint8Array(total);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(header, 8);
  let at = 8 + header.length;
  for (const { data } of entries) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

function encodeHeader(
  entries: readonly ({ name: string } & TensorData)[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const fields: string[] = [];
  const field = (name: string, value: unknown) =>
    fields.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const keys = Object.keys(metadata).sort();
  for (const key of keys) {
    if (typeof metadata[key] !== "string") throw bad(`metadata ${show(key)} as text`, show(metadata[key]));
  }
  if (keys.length > 0) field("__metadata__", Object.fromEntries(keys.map((key) => [key, metadata[key]])));
  let at = 0;
  for (const { name, dtype, shape, data } of entries) {
    field(name, { dtype, shape, data_offsets: [at, at + data.byteLength] });
    at += data.byteLength;
  }
  const json = new TextEncoder().encode(`{${fields.join(",")}}`);
  const padded = new Uint8Array(Math.ceil(json.length / 8) * 8).fill(32);
  padded.set(json);
  return padded;
}

function checkTensor(name: string, { dtype, shape, data }: TensorData): void {
  if (name === "__metadata__") throw bad("another name for a tensor", show(name));
  if (!isDtype(dtype)) throw bad(`a known dtype for tensor ${show(name)}`, show(dtype));
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    throw bad(`a shape of whole numbers for tensor ${show(name)}`, show(shape));
  }
  const need = byteLength(dtype, shape);
  if (need !== data.byteLength) {
    throw bad(`${need} bytes for tensor ${show(name)} ${dtype} [${shape.join(", ")}]`, `${data.byteLength}`);
  }
}

function bad(need: string, found: string): CapstanError {
  return new CapstanError("bad_request", { action: "write safetensors", need, found });
}
