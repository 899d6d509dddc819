/**
 * The random number of a draw, in [0, 1): Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * 2011), a function of seed and draw alone. The CPU device draws the same number.
 */
export function uniform(seed: readonly [number, number], draw: number): number {
  let counter = [draw >>> 0, 0, 0, 0] as [number, number, number, number];
  let [low, high] = [seed[0] >>> 0, seed[1] >>> 0];
  for (let round = 0; round < 10; round++) {
    const first = BigInt(counter[0]) * 0xd2511f53n;
    const second = BigInt(counter[2]) * 0xcd9e8d57n;
    counter = [
      (Number(second >> 32n) ^ counter[1] ^ low) >>> 0,
      Number(second & 0xffffffffn),
      (Number(first >> 32n) ^ counter[3] ^ high) >>> 0,
      Number(first & 0xffffffffn),
    ];
    low = (low + 0x9e3779b9) >>> 0;
    high = (high + 0xbb67ae85) >>> 0;
  }
  return Number(((BigInt(counter[1]) << 32n) | BigInt(counter[0])) >> 11n) / 2 ** 53;
}
