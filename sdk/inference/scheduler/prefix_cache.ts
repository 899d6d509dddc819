import { entryOf, itemAt } from "../../../models/certain.ts";
import { type BlockId, CapstanError } from "../../../models/index.ts";
import type { BlockPool } from "./block_pool.ts";

/** A full block of tokens under one set of interventions, reached by the blocks before it. */
interface Node {
  readonly block: BlockId;
  readonly tokens: string;
  readonly children: Map<string, Node>;
  /** Where it stands: the children of the block before it, or a root. */
  readonly siblings: Map<string, Node>;
  /** The root it hangs from. */
  readonly key: string;
  used_at: number;
  /** Asked for by brief sequences alone, which share a part of the memory. */
  is_brief: boolean;
  /** Projections of its tokens by what they read, [block_size] each; the latest few. */
  readonly readings: Map<string, Float32Array>;
}

/** Projections of tokens up to position `end`: a row for each name. */
export interface Readings {
  names: readonly string[];
  end: number;
  rows: readonly Float32Array[];
}

/** Readings that a block keeps: those of a server's own probes, and some of callers'. */
const MOST_READINGS = 8;

/**
 * Full KV blocks by the tokens they hold and those before them. A root for each key, which stands for all that
 * changes keys and values beside the tokens (a set of interventions) and for whose they are (a salt): a prefix cached under
 * another one is never found. Tokens and keys are compared whole, not by hash; a root is forgotten with its last block.
 */
export class PrefixCache {
  readonly #pool: BlockPool;
  readonly #roots = new Map<string, Map<string, Node>>();
  readonly #nodes = new Set<Node>();
  #n_brief = 0;
  #clock = 0;

  constructor(pool: BlockPool) {
    this.#pool = pool;
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** Keys that have blocks. */
  get n_roots(): number {
    return this.#roots.size;
  }

  /**
   * The longest cached run of whole blocks that starts `tokens`, each retained for the caller.
   *
   * @param names readings that each of them has to have; their values go to `rows`, one for each name
   */
  find(key: string, tokens: Int32Array, names: readonly string[] = [], rows: Float32Array[] = []): BlockId[] {
    const found: BlockId[] = [];
    const read: Map<string, Float32Array>[] = [];
    let level = this.#roots.get(key);
    const size = this.#pool.block_size;
    for (let start = 0; level !== undefined && start + size <= tokens.length; start += size) {
      const node: Node | undefined = level.get(blockKey(tokens, start, size));
      if (node === undefined || !names.every((name) => node.readings.has(name))) break;
      read.push(node.readings);
      node.used_at = ++this.#clock;
      found.push(node.block);
      level = node.children;
    }
    this.#pool.retain(found);
    for (const [i, name] of names.entries()) {
      rows[i] = new Float32Array(found.length * size);
      for (const [block, readings] of read.entries()) rows[i].set(entryOf(readings, name), block * size);
    }
    return found;
  }

  /**
   * Remembers the whole blocks of `tokens`; a block already known under its tokens stays as it is. Of those that only
   * `brief` calls gave or used, the latest stay: a share of the pool, so that many prompts that come once fill no memory.
   *
   * @param readings what was read of the tokens from some position on
   * @throws CapstanError `internal` when `blocks` are fewer than the tokens fill: nothing is remembered
   */
  insert(
    key: string,
    tokens: Int32Array,
    blocks: readonly BlockId[],
    is_brief = false,
    readings: Readings = NOTHING_READ,
  ): void {
    const size = this.#pool.block_size;
    const n_whole = Math.floor(tokens.length / size);
    if (n_whole === 0) return;
    if (blocks.length < n_whole || blocks.slice(0, n_whole).some((block) => !this.#isHeld(block))) {
      throw new CapstanError("internal", {
        action: "cache a prefix",
        need: `${n_whole} KV blocks in use`,
        found: `${blocks.filter((block) => this.#isHeld(block)).length}`,
      });
    }
    let level = this.#roots.get(key) ?? new Map<string, Node>();
    this.#roots.set(key, level);
    for (let index = 0; index < n_whole; index++) {
      const node =
        level.get(blockKey(tokens, index * size, size)) ?? this.#add(key, level, tokens, index, blocks);
      node.used_at = ++this.#clock;
      if (!is_brief) this.#keepLong(node);
      keepReadings(node, readings, index * size, size);
      level = node.children;
    }
    const most = Math.ceil(this.#pool.limit * BRIEF_SHARE);
    if (this.#n_brief > most) this.#evict(this.#n_brief - most, ({ is_brief }) => is_brief);
  }

  /** Frees blocks that only the cache holds, least recently used first, until `count` are free or none is left. */
  evict(count: number): number {
    return this.#evict(count, () => true);
  }

  #evict(count: number, isMeant: (node: Node) => boolean): number {
    let freed = 0;
    while (freed < count) {
      const oldest = [...this.#nodes]
        .filter(isMeant)
        .filter(({ children, block }) => children.size === 0 && this.#pool.references(block) === 1)
        .sort((a, b) => a.used_at - b.used_at)
        .slice(0, count - freed);
      if (oldest.length === 0) break;
      // Their parents, now without children, come in the next round.
      for (const node of oldest) this.#forget(node);
      freed += oldest.length;
    }
    return freed;
  }

  clear(): void {
    for (const node of this.#nodes) this.#pool.release([node.block]);
    this.#nodes.clear();
    this.#roots.clear();
    this.#n_brief = 0;
  }

  #isHeld(block: BlockId | undefined): boolean {
    return block !== undefined && this.#pool.references(block) > 0;
  }

  #add(
    key: string,
    siblings: Map<string, Node>,
    tokens: Int32Array,
    index: number,
    blocks: readonly BlockId[],
  ): Node {
    const size = this.#pool.block_size;
    const [block, text] = [itemAt(blocks, index), blockKey(tokens, index * size, size)];
    const node = {
      block,
      tokens: text,
      children: new Map(),
      siblings,
      key,
      used_at: 0,
      is_brief: true,
      readings: new Map(),
    };
    this.#pool.retain([block]);
    this.#n_brief += 1;
    siblings.set(text, node);
    this.#nodes.add(node);
    return node;
  }

  #keepLong(node: Node): void {
    if (node.is_brief) this.#n_brief -= 1;
    node.is_brief = false;
  }

  #forget(node: Node): void {
    if (node.is_brief) this.#n_brief -= 1;
    node.siblings.delete(node.tokens);
    this.#nodes.delete(node);
    this.#pool.release([node.block]);
    if (node.siblings.size === 0 && this.#roots.get(node.key) === node.siblings) this.#roots.delete(node.key);
  }
}

const NOTHING_READ: Readings = { names: [], end: 0, rows: [] };

/** Notes those readings that cover the whole of a block that begins at position `start`. */
function keepReadings({ readings }: Node, { names, end, rows }: Readings, start: number, size: number): void {
  for (const [i, name] of names.entries()) {
    const row = itemAt(rows, i);
    const from = end - row.length;
    if (start < from || start + size > end) continue;
    // The latest stay: an entry that is set again comes last.
    readings.delete(name);
    readings.set(name, row.slice(start - from, start - from + size));
    const [oldest] = readings.keys();
    if (readings.size > MOST_READINGS) readings.delete(oldest!);
  }
}

/** The share of the pool's blocks that brief sequences leave in the cache: at most 64 MiB of the most there can be. */
const BRIEF_SHARE = 1 / 16;

function blockKey(tokens: Int32Array, start: number, size: number): string {
  return tokens.subarray(start, start + size).join(",");
}
