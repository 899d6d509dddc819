import type { StoredDtype } from "../../models/device.ts";
import { padded } from "../constants.ts";

/** Weights in a 16-byte load, and u32s that 64 weights take, and their scales (and offsets, in q4). */
export const PACKING: Record<
  StoredDtype,
  { unit: number; u32s: number; scales: number; quantised: boolean }
> = {
  f32: { unit: 4, u32s: 64, scales: 0, quantised: false },
  f16: { unit: 8, u32s: 32, scales: 0, quantised: false },
  bf16: { unit: 8, u32s: 32, scales: 0, quantised: false },
  q8: { unit: 16, u32s: 16, scales: 1, quantised: true },
  q4: { unit: 32, u32s: 8, scales: 2, quantised: true },
};

/** Rows [first_row, first_row + n_rows) of a matrix in a buffer of their own; scales follow the weights. */
export interface Chunk {
  buffer: GPUBuffer;
  /** U32 at which the rows begin. */
  at: number;
  first_row: number;
  n_rows: number;
  /** U32 at which scales begin. */
  scales_at: number;
}

/**
 * A matrix [rows, cols], or several of that size, as kernels read it: rows padded with zeros to `k` values and packed by dtype, in as many
 * buffers as the adapter's binding limit asks for. `interleaved`: its two halves (gate, up) alternate row by row.
 */
export interface StoredMatrix {
  dtype: StoredDtype;
  rows: number;
  cols: number;
  k: number;
  interleaved: boolean;
  chunks: Chunk[];
}

/** U32s of a row's weights and of its scales. */
export function rowSize(dtype: StoredDtype, k: number): { weights: number; scales: number } {
  const { u32s, scales } = PACKING[dtype];
  return { weights: (k / 64) * u32s, scales: (k / 64) * scales };
}

/**
 * Rows of a chunk under a binding limit: an even number, so that pairs stay together; whole experts, where a matrix
 * has several.
 */
export function cutRows(
  dtype: StoredDtype,
  { count, rows, cols }: { count: number; rows: number; cols: number },
  binding_bytes: number,
): number {
  const size = rowSize(dtype, padded(cols));
  const fit = Math.floor(binding_bytes / (4 * (size.weights + size.scales)));
  const unit = count > 1 ? rows : 4;
  return Math.min(count * rows, Math.max(count > 1 ? rows : 2, Math.floor(fit / unit) * unit));
}
