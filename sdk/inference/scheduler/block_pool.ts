import { type BlockId, CapstanError, type DeviceModel } from "../../../models/index.ts";
import { freeOn } from "./free_on.ts";

/** Blocks that a step which succeeds gives back of those held back for steps. */
const RECOVERED = 1 / 16;

/** The paged cache's blocks with their reference counts: a block is freed when its last holder releases it. */
export class BlockPool {
  /** Tokens in a block. */
  readonly block_size: number;
  readonly #device: DeviceModel;
  readonly #references = new Map<BlockId, number>();
  #limit: number;
  #held_back = 0;

  /** @param limit most blocks held at once */
  constructor(device: DeviceModel, limit: number) {
    this.#device = device;
    this.block_size = device.block_size;
    this.#limit = limit;
  }

  /** Most blocks there can be. It falls to what memory really held when an allocation within it fails. */
  get limit(): number {
    return this.#limit;
  }

  /** Most blocks held at once now: fewer than the limit where memory is held back for steps. */
  get capacity(): number {
    return Math.max(1, this.#limit - Math.ceil(this.#held_back));
  }

  get used(): number {
    return this.#references.size;
  }

  /** Blocks that hold `n_tokens`. */
  blocksFor(n_tokens: number): number {
    return Math.ceil(n_tokens / this.block_size);
  }

  /**
   * New blocks, each with one reference; no more than `capacity - used` may be asked for.
   *
   * @returns null when the device has no memory for them: the limit is then what it has
   */
  async allocate(count: number): Promise<BlockId[] | null> {
    if (count === 0) return [];
    const blocks = await this.#tryAllocate(count);
    if (blocks === null) {
      await this.#measure(count);
      return null;
    }
    for (const block of blocks) this.#references.set(block, 1);
    return blocks;
  }

  retain(blocks: readonly BlockId[]): void {
    for (const block of blocks) {
      const references = this.references(block);
      if (references === 0) throw lostTrack("retain", block);
      this.#references.set(block, references + 1);
    }
  }

  release(blocks: readonly BlockId[]): void {
    const free: BlockId[] = [];
    for (const block of blocks) {
      const left = this.references(block) - 1;
      if (left > 0) this.#references.set(block, left);
      else if (this.#references.delete(block)) free.push(block);
    }
    if (free.length > 0) freeOn(() => this.#device.freeBlocks(free));
  }

  references(block: BlockId): number {
    return this.#references.get(block) ?? 0;
  }

  /** Gives `own`, a block that the caller alone holds, the contents of `block`, and releases that. */
  copyInto(block: BlockId, own: BlockId): void {
    this.#device.copyBlock(block, own);
    this.release([block]);
  }

  async #tryAllocate(count: number): Promise<BlockId[] | null> {
    try {
      return await this.#device.allocBlocks(count);
    } catch (error) {
      if (error instanceof CapstanError && error.code === "out_of_memory") return null;
      throw error;
    }
  }

  /** Lowers the capacity for a while, where a step found no memory beside the blocks. */
  holdBack(capacity: number): void {
    this.#held_back = Math.max(this.#held_back, this.#limit - Math.max(1, capacity));
  }

  /** Notes that steps succeed: what is held back for them becomes less, slowly. */
  recover(): void {
    this.#held_back = Math.max(0, this.#held_back - RECOVERED);
  }

  /** Holds nothing back any more; false when nothing was. */
  holdNothingBack(): boolean {
    const held = this.#held_back > 0;
    this.#held_back = 0;
    return held;
  }

  /** Lowers the limit to what can be held beside the blocks in use: the most below `count` that can be allocated. */
  async #measure(count: number): Promise<void> {
    const got: BlockId[] = [];
    for (let ask = count >> 1; ask > 0; ) {
      const blocks = await this.#tryAllocate(ask);
      if (blocks === null) ask >>= 1;
      else got.push(...blocks);
    }
    this.#limit = Math.max(1, Math.min(this.#limit, this.used + got.length));
    if (got.length > 0) freeOn(() => this.#device.freeBlocks(got));
  }
}

function lostTrack(action: string, block: BlockId): CapstanError {
  return new CapstanError("internal", {
    action: `${action} a KV block`,
    need: "a block that is held",
    found: String(block),
  });
}
