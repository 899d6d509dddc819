import type { DeviceModel } from "../../../models/index.ts";
import { BlockPool } from "./block_pool.ts";
import { PrefixCache } from "./prefix_cache.ts";
import type { Sequence } from "./sequence.ts";

/** The KV blocks of a model and who gives them up when others need them. */
export class KvMemory {
  readonly pool: BlockPool;
  readonly prefixes: PrefixCache;
  /** Sequences in callers' hands that no task works on (sessions), least recently used first. */
  readonly #idle = new Set<Sequence>();

  constructor(device: DeviceModel, max_blocks: number) {
    this.pool = new BlockPool(device, max_blocks);
    this.prefixes = new PrefixCache(this.pool);
  }

  /** From now on no task works on `sequence`, until `take`. */
  rest(sequence: Sequence): void {
    this.#idle.delete(sequence);
    this.#idle.add(sequence);
  }

  /** A task works on `sequence`, or it is disposed of. */
  take(sequence: Sequence): void {
    this.#idle.delete(sequence);
  }

  /**
   * Sees to it that `count` blocks are free, where what nobody works on can give them: cached prefixes first, then
   * idle sequences, which are computed again when they are used. False when that is not enough.
   */
  makeFree(count: number): boolean {
    const { pool, prefixes } = this;
    // Blocks above a capacity that fell are short too.
    const short = () => count + pool.used - pool.capacity;
    while (short() > 0) {
      if (prefixes.evict(short()) > 0) continue;
      const idle = [...this.#idle].find(({ blocks }) => blocks.length > 0);
      if (idle === undefined) return false;
      idle.preempt();
    }
    return true;
  }

  /** Frees the blocks of all that nobody works on; gives their number. */
  freeUnused(): number {
    const before = this.pool.used;
    for (const sequence of this.#idle) sequence.preempt();
    this.prefixes.evict(this.prefixes.size);
    return before - this.pool.used;
  }

  dispose(): void {
    this.prefixes.clear();
  }
}
