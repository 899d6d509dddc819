import type { BlockId } from "../models/device.ts";
import { unknownId } from "../models/errors.ts";
import type { Program } from "../models/program.ts";
import { padded, USAGE } from "./constants.ts";
import { type Gpu, mebibytes, outOfMemory } from "./context.ts";

/** Tokens in a block. */
export const BLOCK_SIZE = 16;
const FIRST_BLOCKS = 16;

/**
 * The paged key-value cache: a buffer of keys and one of values for each layer, so that no binding need hold more
 * than one layer's. It grows by doubling; block ids stay.
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
  #free: BlockId[] = [];
  readonly #used = new Set<BlockId>();

  constructor(gpu: Gpu, { n_layers, n_kv_heads, d_head }: Program, on_grow: () => void) {
    this.#gpu = gpu;
    this.#n_layers = n_layers;
    this.#key_bytes = 4 * BLOCK_SIZE * n_kv_heads * padded(d_head, 4);
    this.#value_bytes = 4 * BLOCK_SIZE * n_kv_heads * d_head;
    this.#on_grow = on_grow;
    this.#grow(Math.max(1, Math.min(FIRST_BLOCKS, this.most)));
  }

  get block_bytes(): number {
    return this.#n_layers * (this.#key_bytes + this.#value_bytes);
  }

  has(id: BlockId): boolean {
    return this.#used.has(id);
  }

  keys(layer: number): GPUBuffer {
    return this.#keys[layer]!;
  }

  values(layer: number): GPUBuffer {
    return this.#values[layer]!;
  }

  alloc(count: number): BlockId[] {
    const short = count - this.#free.length;
    if (short > 0) this.#grow(Math.max(this.#capacity + short, Math.min(2 * this.#capacity, this.most)));
    // The longest free goes first: a block named after it was freed is then seldom another sequence's already.
    const blocks = this.#free.splice(0, count);
    for (const id of blocks) this.#used.add(id);
    return blocks;
  }

  free(blocks: readonly BlockId[]): void {
    for (const id of blocks) if (!this.#used.has(id)) throw unknownId("free KV blocks", "block", id);
    for (const id of blocks) {
      this.#used.delete(id);
      this.#free.push(id);
    }
  }

  /** By way of a scratch buffer: WebGPU copies between two buffers only. */
  copy(from: BlockId, to: BlockId): void {
    for (const id of [from, to]) if (!this.#used.has(id)) throw unknownId("copy a KV block", "block", id);
    this.#scratch ??= this.#gpu.buffer("kv copy", this.block_bytes, USAGE.COPY_SRC | USAGE.COPY_DST);
    const encoder = this.#gpu.device.createCommandEncoder();
    let at = 0;
    for (const [buffers, bytes] of [
      [this.#keys, this.#key_bytes],
      [this.#values, this.#value_bytes],
    ] as const) {
      for (const buffer of buffers) {
        encoder.copyBufferToBuffer(buffer, from * bytes, this.#scratch, at, bytes);
        encoder.copyBufferToBuffer(this.#scratch, at, buffer, to * bytes, bytes);
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
    return Math.floor(this.#gpu.adapter.limits.binding_bytes / this.#key_bytes);
  }

  #grow(capacity: number): void {
    if (capacity > this.most) {
      const fits = `${this.most} blocks (${this.most * BLOCK_SIZE} tokens, ${mebibytes(this.most * this.block_bytes)})`;
      throw outOfMemory(
        "allocate KV blocks",
        capacity * this.block_bytes,
        `room for ${fits} on this adapter`,
      );
    }
    for (let layer = 0; layer < this.#n_layers; layer++) {
      this.#keys[layer] = this.#gpu.grow(`keys ${layer}`, this.#keys[layer], capacity * this.#key_bytes);
      this.#values[layer] = this.#gpu.grow(
        `values ${layer}`,
        this.#values[layer],
        capacity * this.#value_bytes,
      );
    }
    for (let id = this.#capacity; id < capacity; id++) this.#free.push(id);
    this.#capacity = capacity;
    this.#on_grow();
  }
}
