import type { BlockId } from "../../models/index.ts";
import type { BlockPool } from "./blocks.ts";

/** A full block of tokens under one set of interventions, reached by the blocks before it. */
interface Node {
  block: BlockId;
  parent: Node | null;
  children: Map<string, Node>;
  key: string;
  root: Map<string, Node>;
  used_at: number;
}

/**
 * Full KV blocks by the tokens they hold and those before them. A root for each set of interventions: an
 * intervention changes keys and values downstream, so a prefix cached under other hooks is never found.
 * Tokens are compared whole, not by hash.
 */
export class PrefixCache {
  readonly #pool: BlockPool;
  readonly #roots = new Map<number, Map<string, Node>>();
  readonly #nodes = new Set<Node>();
  #clock = 0;

  constructor(pool: BlockPool) {
    this.#pool = pool;
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** The longest cached run of whole blocks that starts `tokens`, each retained for the caller. */
  find(interventions: number, tokens: Int32Array): BlockId[] {
    const found: BlockId[] = [];
    let level = this.#roots.get(interventions);
    const size = this.#pool.block_size;
    for (let start = 0; level !== undefined && start + size <= tokens.length; start += size) {
      const node: Node | undefined = level.get(blockKey(tokens, start, size));
      if (node === undefined) break;
      node.used_at = ++this.#clock;
      found.push(node.block);
      level = node.children;
    }
    this.#pool.retain(found);
    return found;
  }

  /** Remembers the whole blocks of `tokens`; a block already known under its tokens stays as it is. */
  insert(interventions: number, tokens: Int32Array, blocks: readonly BlockId[]): void {
    const size = this.#pool.block_size;
    let level = this.#roots.get(interventions);
    if (level === undefined) {
      level = new Map();
      this.#roots.set(interventions, level);
    }
    let parent: Node | null = null;
    for (let index = 0; (index + 1) * size <= tokens.length; index++) {
      const key = blockKey(tokens, index * size, size);
      let node: Node | undefined = level.get(key);
      if (node === undefined) {
        node = { block: blocks[index]!, parent, children: new Map(), key, root: level, used_at: 0 };
        this.#pool.retain([node.block]);
        level.set(key, node);
        this.#nodes.add(node);
      }
      node.used_at = ++this.#clock;
      parent = node;
      level = node.children;
    }
  }

  /** Frees blocks that only the cache holds, least recently used first, until `count` are free or none is left. */
  evict(count: number): number {
    let freed = 0;
    while (freed < count) {
      let oldest: Node | undefined;
      for (const node of this.#nodes) {
        if (node.children.size > 0 || this.#pool.references(node.block) > 1) continue;
        if (oldest === undefined || node.used_at < oldest.used_at) oldest = node;
      }
      if (oldest === undefined) return freed;
      this.#forget(oldest);
      freed++;
    }
    return freed;
  }

  clear(): void {
    for (const node of this.#nodes) this.#pool.release([node.block]);
    this.#nodes.clear();
    this.#roots.clear();
  }

  #forget(node: Node): void {
    node.root.delete(node.key);
    this.#nodes.delete(node);
    this.#pool.release([node.block]);
  }
}

function blockKey(tokens: Int32Array, start: number, size: number): string {
  return tokens.subarray(start, start + size).join(",");
}
