import type { Vector } from "./vectors.ts";

/**
 * The p-th percentile, p in 0..100, between neighbours by linear interpolation as numpy's default does it.
 * `sorted` ascends and is not empty.
 */
export function percentileOfSorted(sorted: Vector, p: number): number {
  const at = (sorted.length - 1) * (p / 100);
  const below = Math.floor(at);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  const share = at - below;
  // From the nearer end, as numpy does: exact at both ends, monotonic between.
  return share < 0.5 ? low + (high - low) * share : high - (high - low) * (1 - share);
}

/**
 * The p-th percentile of values in any order.
 *
 * @example
 * percentile([4, 1, 3, 2], 25); // 1.75
 */
export function percentile(values: Iterable<number>, p: number): number {
  return percentileOfSorted(Float64Array.from(values).sort(), p);
}

/** A share of n trials with its 95 % Wilson score interval. All between 0 and 1. */
export interface Rate {
  rate: number;
  low: number;
  high: number;
  n: number;
}

/** Two-sided 95 % point of the normal distribution. */
const Z95 = 1.959963984540054;

/**
 * Wilson's score interval at 95 %, which holds its level for small n and for rates near 0 and 1.
 *
 * @example
 * const { low, high } = wilson(8, 10);
 */
export function wilson(successes: number, n: number): Rate {
  if (n === 0) return { rate: 0, low: 0, high: 1, n: 0 };
  const rate = successes / n;
  const z2 = Z95 * Z95;
  const centre = (rate + z2 / (2 * n)) / (1 + z2 / n);
  const half = (Z95 / (1 + z2 / n)) * Math.sqrt((rate * (1 - rate)) / n + z2 / (4 * n * n));
  const low = successes === 0 ? 0 : Math.max(0, centre - half);
  const high = successes === n ? 1 : Math.min(1, centre + half);
  return { rate, low, high, n };
}

/** A sum of vectors [size] in f64 and their count. Sums of shards merge, so any split gives the same mean. */
export class VectorSum {
  readonly sum: Float64Array;
  count = 0;

  constructor(size: number) {
    this.sum = new Float64Array(size);
  }

  add(vector: Vector): void {
    for (let i = 0; i < this.sum.length; i++) this.sum[i]! += vector[i]!;
    this.count += 1;
  }

  merge(other: VectorSum): void {
    for (let i = 0; i < this.sum.length; i++) this.sum[i]! += other.sum[i]!;
    this.count += other.count;
  }

  /** [size]; zeros when nothing was added. */
  mean(): Float64Array {
    return this.sum.map((x) => (this.count === 0 ? 0 : x / this.count));
  }
}
