import type { StoredDtype } from "./device.ts";
import { keptDtypes } from "./load_weights.ts";
import type { Program } from "./program.ts";

/** Columns of a row that are kept together (a row is filled up to whole blocks), and their bytes, scales and offsets included. */
const BLOCKS: Record<StoredDtype, { cols: number; bytes: number }> = {
  f32: { cols: 1, bytes: 4 },
  f16: { cols: 1, bytes: 2 },
  bf16: { cols: 1, bytes: 2 },
  q8: { cols: 32, bytes: 34 },
  q4: { cols: 32, bytes: 20 },
};

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
  const kept = keptDtypes(program);
  const bytes = (dtype: StoredDtype) =>
    program.weights.reduce((sum, { kind, count, rows, cols }, id) => {
      if (kind === "vector") return sum + 4 * cols;
      const block = BLOCKS[kept(id, dtype)];
      return sum + count * rows * Math.ceil(cols / block.cols) * block.bytes;
    }, 0);
  const { weights, n_layers, n_kv_heads, d_head } = program;
  return {
    n_parameters: weights.reduce((sum, { count, rows, cols }) => sum + count * rows * cols, 0),
    weights: { f32: bytes("f32"), f16: bytes("f16"), bf16: bytes("bf16"), q8: bytes("q8"), q4: bytes("q4") },
    kv_per_token: 2 * 4 * n_layers * n_kv_heads * d_head,
  };
}
