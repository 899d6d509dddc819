import type { StoredDtype } from "../../models/device.ts";
import { padded } from "../constants.ts";

/** Weights in a 16-byte load, and 32-bit words that 64 weights take, without their scales. */
export const PACKING: Record<StoredDtype, { unit: number; words: number; quantised: boolean }> = {
  f32: { unit: 4, words: 64, quantised: false },
  f16: { unit: 8, words: 32, quantised: false },
  bf16: { unit: 8, words: 32, quantised: false },
  q8: { unit: 16, words: 16, quantised: true },
  q4: { unit: 32, words: 8, quantised: true },
};

/** Rows [first_row, first_row + n_rows) of a matrix in a buffer of their own; scales follow the weights. */
export interface Chunk {
  buffer: GPUBuffer;
  /** Word at which the rows begin. */
  at: number;
  first_row: number;
  n_rows: number;
  /** Word at which scales begin. */
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

/** Words of a row's weights and of its scales. */
export function rowWords(dtype: StoredDtype, k: number): { weights: number; scales: number } {
  const { words, quantised } = PACKING[dtype];
  return { weights: (k / 64) * words, scales: quantised ? k / 64 : 0 };
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
  const words = rowWords(dtype, padded(cols));
  const fit = Math.floor(binding_bytes / (4 * (words.weights + words.scales)));
  const unit = count > 1 ? rows : 4;
  return Math.min(count * rows, Math.max(count > 1 ? rows : 2, Math.floor(fit / unit) * unit));
}
