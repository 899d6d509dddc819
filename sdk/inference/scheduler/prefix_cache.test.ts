import { beforeEach, describe, expect, it } from "vitest";
import type { DeviceModel } from "../../../models/index.ts";
import { BlockPool } from "./block_pool.ts";
import { PrefixCache } from "./prefix_cache.ts";

/** Blocks of two tokens on a device that only counts them. */
let pool: BlockPool;
let cache: PrefixCache;
beforeEach(() => {
  let next = 1;
  const device = {
    block_size: 2,
    allocBlocks: async (count: number) => Array.from({ length: count }, () => next++),
    freeBlocks: () => {},
  };
  pool = new BlockPool(device as unknown as DeviceModel, 100);
  cache = new PrefixCache(pool);
});

const ids = (...tokens: number[]) => Int32Array.from(tokens);

/** A sequence of these tokens that was computed, cached and let go. */
async function remember(key: string, ...tokens: number[]): Promise<number[]> {
  const blocks = await pool.allocate(Math.ceil(tokens.length / 2));
  cache.insert(key, ids(...tokens), blocks!);
  pool.release(blocks!);
  return blocks!;
}

describe("the prefix cache", () => {
  it("keeps the latest of brief prompts, a share of the pool, and what others use for longer", async () => {
    const brief = async (...tokens: number[]) => {
      const blocks = (await pool.allocate(Math.ceil(tokens.length / 2)))!;
      cache.insert("", ids(...tokens), blocks, true);
      pool.release(blocks);
    };
    await remember("", 9, 9, 8, 8);
    // A sixteenth of 100 blocks, rounded up.
    for (let n = 0; n < 30; n++) await brief(1, 1, 100 + n, 0);
    expect([cache.size, pool.used]).toEqual([2 + 7, 2 + 7]);
    expect(cache.find("", ids(9, 9, 8, 8))).toHaveLength(2);
    expect(cache.find("", ids(1, 1, 129, 0))).toHaveLength(2);
    expect(cache.find("", ids(1, 1, 100, 0))).toHaveLength(1);
    // What a call that is not brief begins with is no longer among them.
    await remember("", 1, 1, 129, 0);
    for (let n = 0; n < 30; n++) await brief(2, n);
    expect(cache.find("", ids(1, 1, 129, 0))).toHaveLength(2);
    expect(cache.size).toBe(4 + 7);
  });

  it("refuses blocks that are too few, missing or not in use, and keeps nothing of them", async () => {
    const [a, b] = (await pool.allocate(2))!;
    const wrong = [[a], [a, undefined], [undefined, b], [a, 0], [a, 999], []] as number[][];
    for (const blocks of wrong) {
      expect(() => cache.insert("", ids(1, 2, 3, 4), blocks)).toThrow(
        /cache a prefix: need 2 KV blocks in use/,
      );
      expect([cache.size, cache.n_roots]).toEqual([0, 0]);
    }
    cache.insert("", ids(1, 2, 3, 4, 5), [a!, b!]);
    expect(cache.find("", ids(1, 2, 3, 4, 9, 9))).toEqual([a, b]);
  });

  it("finds the longest run of whole blocks under its own key alone", async () => {
    const blocks = await remember("x", 1, 2, 3, 4, 5, 6);
    expect(cache.find("x", ids(1, 2, 3, 4, 7, 8))).toEqual(blocks.slice(0, 2));
    expect(cache.find("x", ids(1, 2, 3))).toEqual(blocks.slice(0, 1));
    expect(cache.find("x", ids(2, 1))).toEqual([]);
    expect(cache.find("y", ids(1, 2))).toEqual([]);
  });

  it("evicts what was used longest ago, ends before beginnings, and nothing that somebody holds", async () => {
    const old = await remember("x", 1, 2, 3, 4);
    const recent = await remember("x", 5, 6);
    const other = await remember("y", 1, 2);
    const held = cache.find("y", ids(1, 2));
    pool.release(cache.find("x", ids(1, 2)));
    // By then: the end of `old` was used first, then `recent`, then the beginning of `old`.
    expect(cache.evict(1)).toBe(1);
    expect(pool.references(old[1]!)).toBe(0);
    expect(cache.evict(1)).toBe(1);
    expect([pool.references(recent[0]!), pool.references(old[0]!)]).toEqual([0, 1]);
    expect(cache.evict(9)).toBe(1);
    expect([cache.size, cache.n_roots, pool.references(other[0]!)]).toEqual([1, 1, 2]);
    pool.release(held);
    expect(cache.evict(9)).toBe(1);
    expect([cache.n_roots, pool.used]).toEqual([0, 0]);
  });
});
