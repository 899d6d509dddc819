import { itemAt } from "../models/certain.ts";
import type { BlockId } from "../models/device.ts";
import { unknownId } from "../models/errors.ts";
import type { Program } from "../models/program.ts";
import { Slots } from "../models/slots.ts";
import { padded, USAGE } from "./constants.ts";
import { type Gpu, mebibytes, outOfMemory } from "./context.ts";

/** Tokens in a block. */
export const BLOCK_SIZE = 16;
const FIRST_BLOCKS = 16;

/**
 * The paged key-value cache: a buffer of keys and one of values for each layer, so that no binding need hold more
 * than one layer's. It grows by doubling; block ids stay, and each names a slot of the buffers.
 */
export class Cache {
  readonly #gpu: Gpu;
  readonly #n_layers: number;
  /** Bytes of a block's keys and of its values in one layer. */
  readonly #key_bytes: number;
  readonly #value_bytes: number;
  readonly #on_grow: () => void;
  #keys: GPUBuffer[] = [];
  #values: GPUBuffer[] = [];
  #scratch: GPUBuffer | undefined;
  #capacity = 0;
  readonly #slots = new Slots();
  /** Allocations take their turn: a growing cache is awaited. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(gpu: Gpu, { n_layers, n_kv_heads, d_head }: Program, on_grow: () => void) {
    this.#gpu = gpu;
    this.#n_layers = n_layers;
    this.#key_bytes = 4 * BLOCK_SIZE * n_kv_heads * padded(d_head, 4);
    this.#value_bytes = 4 * BLOCK_SIZE * n_kv_heads * d_head;
    this.#on_grow = on_grow;
    const first = Math.max(1, Math.min(FIRST_BLOCKS, this.most));
    this.#take(first, this.#makeBuffers(first));
  }

  get block_bytes(): number {
    return this.#n_layers * (this.#key_bytes + this.#value_bytes);
  }

  has(id: BlockId): boolean {
    return this.#slots.slotOf(id) !== undefined;
  }

  /** Slot of a block in use: blocks from the start of each buffer. */
  slot(id: BlockId, action = "use a KV block"): number {
    const slot = this.#slots.slotOf(id);
    if (slot === undefined) throw unknownId(action, "block", id);
    return slot;
  }

  keys(layer: number): GPUBuffer {
    return itemAt(this.#keys, layer);
  }

  values(layer: number): GPUBuffer {
    return itemAt(this.#values, layer);
  }

  /** The longest free go first: a block named after it was freed is then seldom another sequence's already. */
  alloc(count: number): Promise<BlockId[]> {
    const blocks = this.#last.then(async () => {
      const short = count - this.#slots.n_vacant;
      if (short > 0) await this.#growBy(short);
      return this.#slots.take(count);
    });
    this.#last = blocks.catch(() => {});
    return blocks;
  }

  free(blocks: readonly BlockId[]): void {
    for (const id of blocks) this.slot(id, "free KV blocks");
    for (const id of blocks) this.#slots.free(id);
  }

  /** By way of a scratch buffer: WebGPU copies between two buffers only. */
  copy(from: BlockId, to: BlockId): void {
    const [source, target] = [this.slot(from, "copy a KV block"), this.slot(to, "copy a KV block")];
    this.#scratch ??= this.#gpu.buffer("kv copy", this.block_bytes, USAGE.COPY_SRC | USAGE.COPY_DST);
    const encoder = this.#gpu.device.createCommandEncoder();
    let at = 0;
    for (const [buffers, bytes] of [
      [this.#keys, this.#key_bytes],
      [this.#values, this.#value_bytes],
    ] as const) {
      for (const buffer of buffers) {
        encoder.copyBufferToBuffer(buffer, source * bytes, this.#scratch, at, bytes);
        encoder.copyBufferToBuffer(this.#scratch, at, buffer, target * bytes, bytes);
        at += bytes;
      }
    }
    this.#gpu.submit(encoder);
  }

  dispose(): void {
    for (const buffer of [...this.#keys, ...this.#values, this.#scratch]) this.#gpu.release(buffer);
  }

  /** Blocks that a layer's bindings hold. */
  get most(): number {
    return Math.min(Slots.most, Math.floor(this.#gpu.adapter.limits.binding_bytes / this.#key_bytes));
  }

  /** Twice the blocks, or as many as are needed where memory does not hold that. */
  async #growBy(short: number): Promise<void> {
    const least = this.#capacity + short;
    if (least > this.most) {
      const fits = `${this.most} blocks (${this.most * BLOCK_SIZE} tokens, ${mebibytes(this.most * this.block_bytes)})`;
      throw outOfMemory("allocate KV blocks", least * this.block_bytes, `an adapter that holds ${fits}`);
    }
    const wanted = Math.max(least, Math.min(2 * this.#capacity, this.most));
    try {
      await this.#growTo(wanted);
    } catch (error) {
      if (wanted === least) throw error;
      await this.#growTo(least);
    }
  }

  /** Grows once the new buffers are known to be there; until then, and where they are not, all stays as it is. */
  async #growTo(capacity: number): Promise<void> {
    const made = await this.#gpu.attempt(() => this.#makeBuffers(capacity));
    const encoder = this.#gpu.device.createCommandEncoder();
    const old = [...this.#keys, ...this.#values];
    const grown = [...made.keys, ...made.values];
    for (const [i, buffer] of old.entries()) {
      encoder.copyBufferToBuffer(buffer, 0, itemAt(grown, i), 0, buffer.size);
    }
    this.#gpu.submit(encoder);
    for (const buffer of old) this.#gpu.release(buffer);
    this.#take(capacity, made);
    this.#on_grow();
  }

  #makeBuffers(capacity: number): CacheBuffers {
    const usage = USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST;
    const each = (name: string, bytes: number) =>
      Array.from({ length: this.#n_layers }, (_, layer) =>
        this.#gpu.buffer(`${name} ${layer}`, capacity * bytes, usage),
      );
    return { keys: each("keys", this.#key_bytes), values: each("values", this.#value_bytes) };
  }

  #take(capacity: number, { keys, values }: CacheBuffers): void {
    this.#keys = keys;
    this.#values = values;
    this.#capacity = capacity;
    this.#slots.grow(capacity);
  }
}

interface CacheBuffers {
  /** By layer. */
  keys: GPUBuffer[];
  values: GPUBuffer[];
}
