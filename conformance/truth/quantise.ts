/** Types of a few bits, which round the weights. */
export type QuantisedDtype = "q8" | "q4";

/** Neighbours of a row that share a scale (its last block may be shorter), and the largest step of each type. */
const BLOCK = 32;
const MOST: Record<QuantisedDtype, number> = { q8: 127, q4: 7 };

/** Rounds rows of `cols` values, in place, to what a device that keeps them in this type computes with. */
export function quantiseRows(values: Float32Array, cols: number, dtype: QuantisedDtype): void {
  for (let row = 0; row < values.length; row += cols) {
    for (let col = 0; col < cols; col += BLOCK) {
      quantiseBlock(values.subarray(row + col, row + Math.min(col + BLOCK, cols)), MOST[dtype]);
    }
  }
}

/**
 * The scale is the float16 next to largest / most, kept 256 times as large; a step is the nearest whole number of scales.
 * Both by exact quotients: float64 never takes one of these for a middle that it is not.
 */
function quantiseBlock(block: Float32Array, most: number): void {
  const largest = block.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  const scale = roundToHalf((256 * largest) / most) / 256;
  for (const [i, x] of block.entries()) {
    const step = scale === 0 ? 0 : Math.max(-most, Math.min(most, roundToEven(x / scale)));
    block[i] = step * scale;
  }
}

/** Float16 of a number from 0, to the nearest and even on a tie; 0 below its normal range, its largest above. */
function roundToHalf(value: number): number {
  if (value < 2 ** -14) return 0;
  const unit = 2 ** (Math.floor(Math.log2(value)) - 10);
  return Math.min(65504, roundToEven(value / unit) * unit);
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
