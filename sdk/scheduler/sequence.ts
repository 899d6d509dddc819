import type { BlockId } from "../../models/index.ts";
import type { BlockPool } from "./blocks.ts";
import type { HookSet } from "./hook_sets.ts";

/** The past of one sequence on the device: its tokens, and the blocks that hold their keys and values. */
export class Sequence {
  readonly hooks: HookSet;
  /** Tokens whose keys and values are in the cache. */
  tokens: number[] = [];
  /** Tokens after them that steps under way write; which they are may not be known yet. */
  #n_under_way = 0;
  readonly #pool: BlockPool;
  #blocks: BlockId[] = [];

  constructor(pool: BlockPool, hooks: HookSet) {
    this.#pool = pool;
    this.hooks = hooks;
  }

  get n_tokens(): number {
    return this.tokens.length;
  }

  /** Where the next token goes. */
  get end(): number {
    return this.n_tokens + this.#n_under_way;
  }

  get blocks(): readonly BlockId[] {
    return this.#blocks;
  }

  /** Blocks that must be allocated before `count` more tokens can be written (copies of shared ones included). */
  blocksNeeded(count: number): number {
    const grown = this.#pool.blocksFor(this.end + count) - this.#blocks.length;
    return Math.max(0, grown) + (this.#sharedTail() === undefined ? 0 : 1);
  }

  /** Makes room for `count` more tokens, which a step is about to write, in blocks that no other sequence sees. */
  reserve(count: number): void {
    const shared = this.#sharedTail();
    if (shared !== undefined) this.#blocks[shared] = this.#pool.makeOwn(this.#blocks[shared]!);
    const missing = this.#pool.blocksFor(this.end + count) - this.#blocks.length;
    if (missing > 0) this.#blocks.push(...this.#pool.allocate(missing));
    this.#n_under_way += count;
  }

  /** The next tokens have been written, and are these. */
  land(tokens: Int32Array): void {
    this.#n_under_way -= tokens.length;
    for (const token of tokens) this.tokens.push(token);
  }

  /** Lets go of what steps under way still write. */
  drop(): void {
    this.truncate(this.n_tokens);
  }

  /** Takes over blocks found in the prefix cache; only before anything was fed. */
  adopt(blocks: readonly BlockId[], tokens: Int32Array): void {
    this.#blocks = [...blocks];
    this.tokens = Array.from(tokens.subarray(0, blocks.length * this.#pool.block_size));
  }

  truncate(n_tokens: number): void {
    this.tokens.length = n_tokens;
    this.#n_under_way = 0;
    const kept = this.#pool.blocksFor(n_tokens);
    this.#pool.release(this.#blocks.slice(kept));
    this.#blocks.length = kept;
  }

  /** A second sequence with the same past; blocks are shared until one of the two writes into them. */
  fork(): Sequence {
    const copy = new Sequence(this.#pool, this.hooks);
    copy.tokens = [...this.tokens];
    copy.#blocks = this.#blocks.slice(0, this.#pool.blocksFor(this.n_tokens));
    this.#pool.retain(copy.#blocks);
    return copy;
  }

  dispose(): void {
    this.#pool.release(this.#blocks);
    this.#blocks = [];
    this.tokens = [];
    this.#n_under_way = 0;
  }

  /** Index of the partly filled last block when others hold it too. */
  #sharedTail(): number | undefined {
    const index = Math.floor(this.end / this.#pool.block_size);
    const block = this.#blocks[index];
    return block !== undefined && this.#pool.references(block) > 1 ? index : undefined;
  }
}
