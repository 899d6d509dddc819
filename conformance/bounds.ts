import type { Device } from "../models/index.ts";
import type { QuantisedDtype } from "./truth/index.ts";

/** How weights are kept: `auto` and `f32` hold the file's values exactly. */
export type FidelityDtype = "auto" | "f32" | "f16" | QuantisedDtype;

/** Relative L2 error of a row that f16 weights and activations may have, at any depth (DESIGN, section 5). */
const F16_BOUND = 5e-3;

/** The same of activations in whole numbers of 16 bits, 32 of them with a scale. */
const INT16_BOUND = 1e-3;

/**
 * What quantising itself may cost, by DESIGN. It is only compared with: of tiny random models the best blocks
 * lose up to fourteen times as much, and no device can help that.
 */
export const QUANTISED_BOUNDS: Record<QuantisedDtype, number> = { q8: 3e-2, q4: 1.5e-1 };

/**
 * Whether a kind of device rounds activations to 16 bits where the weights are quantised. The others multiply quantised
 * weights in f32, so that nothing but its rounding may part them from the truth with the same weights. It is said here
 * and not by the device: what a device may be off is not for it to say.
 */
const ROUNDS_ACTIVATIONS: Record<Device["kind"], boolean> = { truth: false, wasm: true, webgpu: false };

/**
 * The relative L2 error that a row after block `i` may have; logits count as block `n_layers`.
 * Exact weights in f32 arithmetic: 2e-6 (4 + i) on the CPU, twice that on WebGPU. Quantised weights: the same, against
 * the truth with the weights quantised, unless activations are rounded too.
 * @example
 * relativeBound("wasm", "f32", 0); // 0.000008
 */
export function relativeBound(kind: Device["kind"], dtype: FidelityDtype, block: number): number {
  if (dtype === "f16") return F16_BOUND;
  if ((dtype === "q8" || dtype === "q4") && ROUNDS_ACTIVATIONS[kind]) return INT16_BOUND;
  return (kind === "webgpu" ? 2 : 1) * 2e-6 * (4 + block);
}

/** A row's distance from what it should be. */
export interface RowError {
  /** |got - expected| / |expected|; Infinity where got is not finite. */
  relative_error: number;
  /** The element that differs most, and its values. */
  element: number;
  expected: number;
  got: number;
}

/** Compares a row [width] at an offset of two arrays. */
export function rowError(
  expected: ArrayLike<number>,
  got: ArrayLike<number>,
  start: number,
  width: number,
): RowError {
  let squares = 0;
  let norm = 0;
  let worst = -1;
  let element = 0;
  for (let i = 0; i < width; i++) {
    const truth = expected[start + i]!;
    const difference = Math.abs(got[start + i]! - truth);
    squares += difference * difference;
    norm += truth * truth;
    if (difference > worst || Number.isNaN(difference)) {
      if (!Number.isNaN(worst)) element = i;
      worst = difference;
    }
  }
  const ratio = squares === 0 ? 0 : Math.sqrt(squares / norm);
  return {
    relative_error: Number.isFinite(ratio) ? ratio : Number.POSITIVE_INFINITY,
    element,
    expected: expected[start + element]!,
    got: got[start + element]!,
  };
}

/** The worst row of [n_rows * width], with its number. */
export function worstRow(
  expected: ArrayLike<number>,
  got: ArrayLike<number>,
  width: number,
): RowError & { row: number } {
  let worst: RowError & { row: number } = { ...rowError(expected, got, 0, width), row: 0 };
  for (let row = 1; row * width < expected.length; row++) {
    const error = rowError(expected, got, row * width, width);
    if (error.relative_error > worst.relative_error) worst = { ...error, row };
  }
  return worst;
}

/** |row| of [width] at an offset. */
export function rowNorm(values: ArrayLike<number>, start: number, width: number): number {
  let squares = 0;
  for (let i = start; i < start + width; i++) squares += values[i]! ** 2;
  return Math.sqrt(squares);
}
