import { CapstanError, isFileDtype, toFloats } from "../../../models/index.ts";

/** Bits of one element, in the order the official crate ranks dtypes (its writer sorts by it, last first). */
const ITEM_BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

/** Every dtype of the format, those included whose elements are read by nobody here. */
export type Dtype = keyof typeof ITEM_BITS;

const RANKS = Object.keys(ITEM_BITS) as Dtype[];

export function isDtype(name: unknown): name is Dtype {
  return typeof name === "string" && Object.hasOwn(ITEM_BITS, name);
}

/** Bits of one element. */
export function itemBits(dtype: Dtype): number {
  return ITEM_BITS[dtype];
}

/** Place of a dtype in the order of the file format's writer: wider ones lie first. */
export function dtypeRank(dtype: Dtype): number {
  return RANKS.indexOf(dtype);
}

/**
 * Elements as float32: F8, F16 and BF16 exactly, F64 and 32-bit integers rounded to the nearest.
 *
 * @param bytes little-endian, any alignment
 * @throws CapstanError `unsupported` for 64-bit integers, complex numbers, and floats below 8 bits or without zero's sign
 */
export function toFloat32(dtype: Dtype, bytes: Uint8Array, name: string): Float32Array {
  if (isFileDtype(dtype)) return toFloats(bytes, dtype);
  // A copy is aligned whatever the file's offsets are (and `slice` of a Buffer would be none).
  const buffer = new Uint8Array(bytes).buffer;
  switch (dtype) {
    case "F64":
      return Float32Array.from(new Float64Array(buffer));
    case "BOOL":
    case "U8":
      return Float32Array.from(new Uint8Array(buffer));
    case "I8":
      return Float32Array.from(new Int8Array(buffer));
    case "I16":
      return Float32Array.from(new Int16Array(buffer));
    case "U16":
      return Float32Array.from(new Uint16Array(buffer));
    case "I32":
      return Float32Array.from(new Int32Array(buffer));
    case "U32":
      return Float32Array.from(new Uint32Array(buffer));
    case "F8_E5M2":
    case "F8_E4M3":
    case "F8_E8M0": {
      const values = float8Values(dtype);
      return Float32Array.from(new Uint8Array(buffer), (byte) => values[byte]!);
    }
    case "I64":
    case "U64":
    case "C64":
    case "F4":
    case "F6_E2M3":
    case "F6_E3M2":
    case "F8_E4M3FNUZ":
    case "F8_E5M2FNUZ":
      throw new CapstanError("unsupported", {
        action: `read tensor ${name} as float32`,
        need: "F32, F16, BF16, F8_E4M3, F8_E5M2, F8_E8M0, F64 or an integer of at most 32 bits",
        found: dtype,
        fix: "Read its bytes instead.",
      });
    default:
      return dtype satisfies never;
  }
}

export type Float8 = "F8_E5M2" | "F8_E4M3" | "F8_E8M0";

const float8_tables = new Map<Float8, Float32Array>();

/** What each of the 256 bytes stands for. */
export function float8Values(dtype: Float8): Float32Array {
  const known = float8_tables.get(dtype);
  if (known !== undefined) return known;
  const table = Float32Array.from({ length: 256 }, (_, byte) => FLOAT8[dtype](byte));
  float8_tables.set(dtype, table);
  return table;
}

/** The formats of the Open Compute Project (OCP FP8, and MX for E8M0), as PyTorch's float8 types have them. */
const FLOAT8: Record<Float8, (byte: number) => number> = {
  // Half precision without its lower byte.
  F8_E5M2: (byte) => toFloats(Uint8Array.of(0, byte), "F16")[0]!,
  // 4 exponent bits (bias 7), 3 fraction bits; no infinities, NaN where all seven bits are set.
  F8_E4M3: (byte) => {
    const sign = byte & 0x80 ? -1 : 1;
    const exponent = (byte >> 3) & 15;
    const fraction = byte & 7;
    if (exponent === 0) return sign * fraction * 2 ** -9;
    if (exponent === 15 && fraction === 7) return Number.NaN;
    return sign * (1 + fraction / 8) * 2 ** (exponent - 7);
  },
  // A power of two and no sign: what scales are kept in.
  F8_E8M0: (byte) => (byte === 255 ? Number.NaN : 2 ** (byte - 127)),
};
