import { itemAt, present } from "../../../models/certain.ts";
import type { BlockId, RopeLengths } from "../../../models/index.ts";
import type { BlockPool } from "./block_pool.ts";
import type { HookSet } from "./hook_sets.ts";

/**
 * One sequence: its tokens, and the KV blocks that hold what the device computed of them. The blocks may be given up
 * at any time (`preempt`): the tokens stay, and are computed again before the next ones.
 */
export class Sequence {
  readonly hooks: HookSet;
  /** Tokens of the past, whether or not their keys and values are in the cache. */
  readonly tokens: number[] = [];
  /** The forward calls that fed them, in order: positions of their first token and after their last one. */
  readonly #calls: { start: number; end: number }[] = [];
  readonly #pool: BlockPool;
  readonly #ropes: RopeLengths | null;
  readonly #cache_salt: string;
  #blocks: BlockId[] = [];
  #table: Int32Array | null = null;
  #n_resident = 0;
  #n_in_flight = 0;

  /**
   * @param ropes what the lengths of its calls mean to the model's ropes; null where they mean nothing
   * @param cache_salt parts cached prefixes beside what changes them
   */
  constructor(pool: BlockPool, hooks: HookSet, ropes: RopeLengths | null, cache_salt: string) {
    this.#pool = pool;
    this.hooks = hooks;
    this.#ropes = ropes;
    this.#cache_salt = cache_salt;
  }

  get n_tokens(): number {
    return this.tokens.length;
  }

  /** Tokens whose keys and values are in the cache: all of them unless it was preempted. */
  get n_resident(): number {
    return this.#n_resident;
  }

  /** Position of the next token to be dispatched. */
  get end(): number {
    return this.#n_resident + this.#n_in_flight;
  }

  get blocks(): readonly BlockId[] {
    return this.#blocks;
  }

  /** The block table as a step takes it: a new array whenever the blocks change. */
  get table(): Int32Array {
    this.#table ??= Int32Array.from(this.#blocks);
    return this.#table;
  }

  /** Notes that a forward call begins whose tokens stand at [start, end). */
  beginCall(start: number, end: number): void {
    this.turnFor(end);
    this.#calls.push({ start, end });
  }

  /** Whether the keys of its past are to be computed again for a call that ends at `end`. */
  turnsFor(end: number): boolean {
    const last = this.#calls.at(-1);
    if (last === undefined || this.#ropes === null) return false;
    return this.#ropes.recomputes(last.end, end);
  }

  /** Gives its blocks up where `turnsFor`: its past is then computed again as a part of the call. */
  turnFor(end: number): void {
    if (!this.turnsFor(end)) return;
    this.#calls.splice(0, this.#calls.length, { start: 0, end });
    this.preempt();
  }

  /**
   * For each token at [start, end) the length of its call; null where no rope depends on it. `call_end` is of a call
   * that may not have begun; without it they are of the past.
   */
  ropeLengths(start: number, end: number, call_end?: number): Int32Array | null {
    if (this.#ropes === null) return null;
    return Int32Array.from({ length: end - start }, (_, i) => call_end ?? this.callEnd(start + i));
  }

  /**
   * Which cached prefixes could be its own, by its salt and all that changes keys and values beside the tokens; null where
   * its calls have turned their keys in more than one way. `end` is of its first call, which has not begun.
   */
  prefixKey(end?: number): string | null {
    const { interventions } = this.hooks;
    // The salt as JSON, whose end no text within it can feign.
    const key =
      this.#cache_salt === "" ? interventions : `salt ${JSON.stringify(this.#cache_salt)};${interventions}`;
    if (this.#ropes === null) return key;
    const past = this.#calls.filter(({ start }) => start < this.n_tokens);
    const ends = end === undefined ? past.map((call) => call.end) : [end];
    const [variant = 0, ...others] = new Set(ends.map(this.#ropes.variant));
    if (others.length > 0) return null;
    return variant === 0 ? key : `rope ${variant};${key}`;
  }

  /** Position after the last token of the forward call that feeds the token at `position`. */
  callEnd(position: number): number {
    return itemAt(this.#calls, this.#callOf(position)).end;
  }

  /** Position after the last token that is left of that call: another one may have begun where it was truncated. */
  callKeptEnd(position: number): number {
    const call = this.#callOf(position);
    return Math.min(itemAt(this.#calls, call).end, this.#calls[call + 1]?.start ?? Number.POSITIVE_INFINITY);
  }

  #callOf(position: number): number {
    let [low, high] = [0, this.#calls.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (itemAt(this.#calls, middle).start > position) high = middle;
      else low = middle + 1;
    }
    return low - 1;
  }

  /** Blocks that must be allocated before `count` more tokens can be written (the copy of a shared one included). */
  blocksNeeded(count: number): number {
    const grown = this.#pool.blocksFor(this.end + count) - this.#blocks.length;
    return Math.max(0, grown) + (this.#sharedTail() === undefined ? 0 : 1);
  }

  /** Takes what it needs of `blocks` for `count` more tokens, which a step is about to write where nobody else reads. */
  reserve(count: number, blocks: BlockId[]): void {
    const shared = this.#sharedTail();
    const missing = this.#pool.blocksFor(this.end + count) - this.#blocks.length;
    if (shared !== undefined) {
      const own = present(blocks.shift(), "a block for the copy");
      this.#pool.copyInto(itemAt(this.#blocks, shared), own);
      this.#blocks[shared] = own;
    }
    if (missing > 0) this.#blocks.push(...blocks.splice(0, missing));
    if (shared !== undefined || missing > 0) this.#table = null;
    this.#n_in_flight += count;
  }

  /** Commits tokens whose keys and values have been written: new ones, or some that were preempted. */
  commit(tokens: Int32Array): void {
    this.#n_in_flight -= tokens.length;
    this.#write(tokens);
  }

  /** Forgets what steps in flight still write. */
  rollBack(): void {
    this.#n_in_flight = 0;
    this.#trim();
  }

  /** Takes over blocks found in the prefix cache, which hold the first of `tokens`; only while it has none. */
  adopt(blocks: readonly BlockId[], tokens: Int32Array): void {
    this.#blocks = [...blocks];
    this.#table = null;
    this.#write(tokens.subarray(0, blocks.length * this.#pool.block_size));
  }

  /** Gives its blocks up; the tokens stay. */
  preempt(): void {
    this.#n_resident = 0;
    this.rollBack();
  }

  truncate(n_tokens: number): void {
    this.tokens.length = n_tokens;
    this.#n_resident = Math.min(this.#n_resident, n_tokens);
    while ((this.#calls.at(-1)?.start ?? -1) >= n_tokens) this.#calls.pop();
    this.rollBack();
  }

  /** A second sequence with the same past and equal hooks; blocks are shared until one of the two writes into them. */
  fork(hooks: HookSet): Sequence {
    const copy = new Sequence(this.#pool, hooks, this.#ropes, this.#cache_salt);
    for (const token of this.tokens) copy.tokens.push(token);
    for (const call of this.#calls) copy.#calls.push(call);
    copy.#n_resident = this.#n_resident;
    copy.#blocks = this.#blocks.slice(0, this.#pool.blocksFor(this.#n_resident));
    this.#pool.retain(copy.#blocks);
    return copy;
  }

  dispose(): void {
    this.truncate(0);
  }

  #write(tokens: Int32Array): void {
    for (const token of tokens) this.tokens[this.#n_resident++] = token;
  }

  /** Releases blocks past the tokens that are resident. */
  #trim(): void {
    const kept = this.#pool.blocksFor(this.#n_resident);
    if (kept >= this.#blocks.length) return;
    this.#pool.release(this.#blocks.splice(kept));
    this.#table = null;
  }

  /** Index of the partly filled last block when others hold it too. */
  #sharedTail(): number | undefined {
    const index = Math.floor(this.end / this.#pool.block_size);
    const block = this.#blocks[index];
    return block !== undefined && this.#pool.references(block) > 1 ? index : undefined;
  }
}
