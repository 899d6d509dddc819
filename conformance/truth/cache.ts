import { itemAt } from "../../models/certain.ts";
import { CapstanError, type Program } from "../../models/index.ts";

/** One block: for each layer keys and values, [block_size, n_kv_heads * d_head] each. */
interface Block {
  keys: Float64Array[];
  values: Float64Array[];
}

/** The paged key-value cache of a model, in f64. */
export class Cache {
  readonly block_size: number;
  /** Floats of one position's keys (or values) in one layer. */
  readonly width: number;
  readonly #n_layers: number;
  readonly #max_blocks: number;
  readonly #blocks = new Map<number, Block>();
  /** Ids are never given twice, and 0 is none. */
  #next = 1;

  constructor(program: Program, block_size: number, max_blocks: number) {
    this.block_size = block_size;
    this.width = program.n_kv_heads * program.d_head;
    this.#n_layers = program.n_layers;
    this.#max_blocks = max_blocks;
  }

  get block_bytes(): number {
    return 2 * this.#n_layers * this.block_size * this.width * 8;
  }

  has(id: number): boolean {
    return this.#blocks.has(id);
  }

  /** Contents are NaN: a read of what was never written shows. */
  alloc(count: number): number[] {
    if (this.#blocks.size + count > this.#max_blocks) {
      throw new CapstanError("out_of_memory", {
        action: `allocate ${count} KV blocks`,
        need: `at most ${this.#max_blocks} in all`,
        found: `${this.#blocks.size} in use`,
      });
    }
    const fresh = () =>
      Array.from({ length: this.#n_layers }, () =>
        new Float64Array(this.block_size * this.width).fill(Number.NaN),
      );
    return Array.from({ length: count }, () => {
      this.#blocks.set(this.#next, { keys: fresh(), values: fresh() });
      return this.#next++;
    });
  }

  free(ids: readonly number[]): void {
    for (const id of ids) this.#block(id);
    for (const id of ids) this.#blocks.delete(id);
  }

  copy(from: number, to: number): void {
    const source = this.#block(from);
    const target = this.#block(to);
    for (let layer = 0; layer < this.#n_layers; layer++) {
      itemAt(target.keys, layer).set(itemAt(source.keys, layer));
      itemAt(target.values, layer).set(itemAt(source.values, layer));
    }
  }

  /** Views of one position's keys and values in a layer, each [n_kv_heads * d_head]. */
  at(table: Int32Array, layer: number, position: number): { key: Float64Array; value: Float64Array } {
    const block = this.#block(table[Math.floor(position / this.block_size)] ?? -1);
    const start = (position % this.block_size) * this.width;
    return {
      key: itemAt(block.keys, layer).subarray(start, start + this.width),
      value: itemAt(block.values, layer).subarray(start, start + this.width),
    };
  }

  #block(id: number): Block {
    const block = this.#blocks.get(id);
    if (block !== undefined) return block;
    throw new CapstanError("bad_request", {
      action: "use a KV block",
      need: "one that was allocated and not freed",
      found: `block ${id}`,
    });
  }
}
