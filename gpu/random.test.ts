import { expect, it } from "vitest";
import { Random } from "../conformance/contract/random.ts";
import { uniform } from "./random.ts";

/** The same in whole numbers of any size. */
function philox(seed: readonly [number, number], draw: number): number {
  let [a, b, c, d] = [BigInt(draw), 0n, 0n, 0n];
  let [low, high] = [BigInt(seed[0]), BigInt(seed[1])];
  const mask = 0xffffffffn;
  for (let round = 0; round < 10; round++) {
    const [first, second] = [a * 0xd2511f53n, c * 0xcd9e8d57n];
    [a, b, c, d] = [(second >> 32n) ^ b ^ low, second & mask, (first >> 32n) ^ d ^ high, first & mask];
    [low, high] = [(low + 0x9e3779b9n) & mask, (high + 0xbb67ae85n) & mask];
  }
  return Number(((b << 32n) | a) >> 11n) / 2 ** 53;
}

it("gives the published answer of Random123 for zeros", () => {
  expect(uniform([0, 0], 0)).toBe(Number(0xe169c58d6627e8d5n >> 11n) / 2 ** 53);
});

it("gives the same number as exact arithmetic, for any seed and draw", () => {
  const random = new Random(5);
  const ends = [0, 1, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff];
  const any = () => (random.below(4) === 0 ? ends[random.below(ends.length)]! : random.below(2 ** 32));
  for (let i = 0; i < 2000; i++) {
    const [seed, draw] = [[any(), any()] as const, any()];
    expect(uniform(seed, draw), `${seed} ${draw}`).toBe(philox(seed, draw));
  }
});
