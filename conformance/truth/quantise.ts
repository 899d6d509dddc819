/** Types of a few bits, which round the weights. */
export type QuantisedDtype = "q8" | "q4";

/** Neighbours of a row that share a scale: behind its last column come zeros. */
const BLOCK = 32;

/** Rounds rows of `cols` values, in place, to what a device that keeps them in this type computes with. */
export function quantiseRows(values: Float32Array, cols: number, dtype: QuantisedDtype): void {
  const quantise = dtype === "q8" ? quantiseBlock8 : quantiseBlock4;
  for (let row = 0; row < values.length; row += cols) {
    for (let col = 0; col < cols; col += BLOCK) {
      const block = new Float32Array(BLOCK);
      const own = values.subarray(row + col, row + Math.min(col + BLOCK, cols));
      block.set(own);
      quantise(block);
      own.set(block.subarray(0, own.length));
    }
  }
}

/** Steps from -127 to 127 of a scale, which is the float16 next to largest / 127, kept 256 times as large. */
function quantiseBlock8(block: Float32Array): void {
  const largest = block.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  const scale = roundToHalf((256 * largest) / 127) / 256;
  for (const [i, x] of block.entries()) block[i] = scale * step(x, scale, -127, 127);
}

/**
 * Steps from 0 to 15 above an offset, which is the float16 next to the least value; the scale is the one next to
 * (largest - offset) / 15. Both are kept 256 times as large. Differences from the offset are taken in float32.
 */
function quantiseBlock4(block: Float32Array): void {
  const least = block.reduce((min, x) => Math.min(min, x), Number.POSITIVE_INFINITY);
  const largest = block.reduce((max, x) => Math.max(max, x), Number.NEGATIVE_INFINITY);
  const offset = (Math.sign(least) * roundToHalf(256 * Math.abs(least))) / 256;
  const scale = roundToHalf((256 * Math.max(0, Math.fround(largest - offset))) / 15) / 256;
  for (const [i, x] of block.entries()) {
    block[i] = offset + scale * step(Math.fround(x - offset), scale, 0, 15);
  }
}

/**
 * The nearest whole number of scales, even on a tie. By an exact quotient, as scales are: float64 never takes one of
 * these for a middle that it is not.
 */
function step(value: number, scale: number, least: number, most: number): number {
  return scale === 0 ? 0 : Math.max(least, Math.min(most, roundToEven(value / scale)));
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
