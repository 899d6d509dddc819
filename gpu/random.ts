/**
 * The random number of a draw, in [0, 1): Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * 2011), a function of seed and draw alone. The CPU device draws the same number.
 */
export function uniform(seed: readonly [number, number], draw: number): number {
  let [a, b, c, d] = [draw >>> 0, 0, 0, 0];
  let [low, high] = [seed[0] >>> 0, seed[1] >>> 0];
  for (let round = 0; round < 10; round++) {
    const [first_high, first_low] = [productHigh(a, FIRST), Math.imul(a, FIRST) >>> 0];
    const [second_high, second_low] = [productHigh(c, SECOND), Math.imul(c, SECOND) >>> 0];
    a = (second_high ^ b ^ low) >>> 0;
    b = second_low;
    c = (first_high ^ d ^ high) >>> 0;
    d = first_low;
    low = (low + 0x9e3779b9) >>> 0;
    high = (high + 0xbb67ae85) >>> 0;
  }
  // The upper 53 of the 64 bits (b, a).
  return (b * 2 ** 21 + (a >>> 11)) / 2 ** 53;
}

const FIRST = 0xd2511f53;
const SECOND = 0xcd9e8d57;

/** The upper 32 bits of a product of two u32, by halves: no sum is above 2^32. */
function productHigh(x: number, y: number): number {
  const [x_high, x_low] = [x >>> 16, x & 0xffff];
  const [y_high, y_low] = [y >>> 16, y & 0xffff];
  const middle = x_high * y_low + ((x_low * y_low) >>> 16);
  const carry = x_low * y_high + (middle & 0xffff);
  return x_high * y_high + (middle >>> 16) + (carry >>> 16);
}
