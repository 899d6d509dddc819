import type { FileDtype, StoredDtype } from "./device.ts";

/** How weights lie in a file: bytes of an element, and the type that keeps a matrix just as it is. */
export const FILE_DTYPES = {
  F32: { size: 4, stored: "f32" },
  F16: { size: 2, stored: "f16" },
  BF16: { size: 2, stored: "bf16" },
} as const satisfies Record<FileDtype, { size: number; stored: StoredDtype }>;

/** Whether tensors of a file in this dtype are read. */
export function isFileDtype(name: string): name is FileDtype {
  return Object.hasOwn(FILE_DTYPES, name);
}

/** Whole numbers of a file (little-endian, at any alignment) as float32, which holds them all exactly. */
export function toFloats(bytes: Uint8Array, dtype: FileDtype): Float32Array<ArrayBuffer> {
  // A copy is aligned wherever the bytes lay (and `slice` of a Buffer would be none).
  const { buffer } = new Uint8Array(bytes);
  if (dtype === "F32") return new Float32Array(buffer);
  const halves = new Uint16Array(buffer);
  return dtype === "F16" ? fromHalves(halves) : fromBfloats(halves);
}

/** IEEE binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. A loop, for `from` is three times as slow. */
function fromHalves(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const values = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) values[i] = halfToNumber(halves[i]!);
  return values;
}

function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** A bfloat16 is the upper half of a float32. */
function fromBfloats(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) words[i] = halves[i]! << 16;
  return new Float32Array(words.buffer);
}
