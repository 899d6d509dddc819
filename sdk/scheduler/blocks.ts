import type { BlockId, DeviceModel } from "../../models/index.ts";
import { freeOn } from "./free.ts";

/** The paged cache's blocks with their reference counts: who else reads a block before it is freed or written. */
export class BlockPool {
  readonly block_size: number;
  /** Most blocks held at once. */
  readonly capacity: number;
  readonly #device: DeviceModel;
  readonly #references = new Map<BlockId, number>();

  constructor(device: DeviceModel, capacity: number) {
    this.#device = device;
    this.block_size = device.block_size;
    this.capacity = capacity;
  }

  get used(): number {
    return this.#references.size;
  }

  /** Blocks that hold `n_tokens`. */
  blocksFor(n_tokens: number): number {
    return Math.ceil(n_tokens / this.block_size);
  }

  /** New blocks, each with one reference. Throws `out_of_memory` when the device has no room. */
  allocate(count: number): BlockId[] {
    const blocks = this.#device.allocBlocks(count);
    for (const block of blocks) this.#references.set(block, 1);
    return blocks;
  }

  retain(blocks: readonly BlockId[]): void {
    for (const block of blocks) this.#references.set(block, this.references(block) + 1);
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

  /** A block that the caller alone holds, with the contents of `block`; takes over the caller's reference. */
  makeOwn(block: BlockId): BlockId {
    if (this.references(block) === 1) return block;
    const copy = this.allocate(1)[0]!;
    this.#device.copyBlock(block, copy);
    this.release([block]);
    return copy;
  }
}
