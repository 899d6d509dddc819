import type { StoredDtype } from "./device.ts";
import type { Program } from "./program.ts";

/** Bits of a matrix element; the quantized types have one 16-bit scale for each 32 (rows filled up to whole blocks). */
const BITS: Record<StoredDtype, number> = { f32: 32, f16: 16, bf16: 16, q8: 8, q4: 4 };
const BLOCK = 32;

/** What a model takes on a device, in bytes. */
export interface MemoryNeed {
  n_parameters: number;
  /** Weights by how matrices are kept; vectors are float32 in each. */
  weights: Record<StoredDtype, number>;
  /** Keys and values of one token, in float32. */
  kv_per_token: number;
}

/** The memory that a program needs, from its shapes alone: nothing is read or allocated. */
export function memoryNeed(program: Program): MemoryNeed {
  const bytes = (dtype: StoredDtype) =>
    program.weights.reduce((sum, { kind, count, rows, cols }) => {
      if (kind === "vector") return sum + 4 * cols;
      const is_block = dtype === "q8" || dtype === "q4";
      const row = is_block
        ? Math.ceil(cols / BLOCK) * ((BLOCK * BITS[dtype]) / 8 + 2)
        : (cols * BITS[dtype]) / 8;
      return sum + count * rows * row;
    }, 0);
  const { weights, n_layers, n_kv_heads, d_head } = program;
  return {
    n_parameters: weights.reduce((sum, { count, rows, cols }) => sum + count * rows * cols, 0),
    weights: { f32: bytes("f32"), f16: bytes("f16"), bf16: bytes("bf16"), q8: bytes("q8"), q4: bytes("q4") },
    kv_per_token: 2 * 4 * n_layers * n_kv_heads * d_head,
  };
}
