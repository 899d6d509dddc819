import { BLOCK_SIZE } from "../../cache.ts";
import type { Kernel } from "../../context.ts";
import type { Stage } from "../../plan.ts";
import type { Resources } from "../../resources.ts";
import type { BuildContext, Dispatch, Work } from "../../work.ts";
import { ATTENTION } from "./attention.wgsl.ts";

const KERNEL: Kernel = { name: "attention", source: ATTENTION, bindings: ["read", "read", "read", "write"] };

/** Queries that share the keys and values a workgroup reads: their sums are its threads' registers. */
const MOST_QUERIES = 8;
const THREADS = 128;

/** Rows of a sequence that go into one tile when a step holds prompts. */
export function prefillTile(n_heads: number, n_kv_heads: number): number {
  return Math.max(1, Math.floor(MOST_QUERIES / (n_heads / n_kv_heads)));
}

/** out = softmax(q K^T scale) V over the paged cache, causal, within the window. */
export async function buildAttention(
  { op }: Extract<Stage, { kind: "attention" }>,
  { buffers }: Resources,
  { gpu, program }: BuildContext,
): Promise<Work> {
  const { n_kv_heads, d_head } = program;
  const heads_per_kv = op.n_heads / n_kv_heads;
  const per_kv = Math.min(heads_per_kv, MOST_QUERIES);
  const variant = async (tile: number): Promise<Dispatch> => {
    const pipeline = await gpu.pipeline(KERNEL, {
      WG: THREADS,
      TILE: tile,
      PER_KV: per_kv,
      M_POWER: 2 ** Math.ceil(Math.log2(tile * per_kv)),
      D_HEAD: d_head,
      N_KV_HEADS: n_kv_heads,
      HEADS_PER_KV: heads_per_kv,
      QKV_STRIDE: buffers.stride(op.in),
      OUT_STRIDE: buffers.stride(op.out),
      BLOCK: BLOCK_SIZE,
      SCALE: { f32: op.scale },
      WINDOWED: op.window !== null,
      WINDOW: op.window ?? 0,
      SOFTCAPPED: false,
    });
    return {
      pipeline,
      words: [],
      bindings: ({ buffers, cache }) => [
        buffers.activation(op.in),
        cache.keys(op.layer),
        cache.values(op.layer),
        buffers.activation(op.out),
      ],
      groups: ({ n_tiles }) => [n_tiles, n_kv_heads, Math.ceil(heads_per_kv / per_kv)],
    };
  };
  const [decode, prefill] = await Promise.all([variant(1), variant(prefillTile(op.n_heads, n_kv_heads))]);
  const [one, many] = [[decode], [prefill]];
  return { all: [decode, prefill], choose: ({ tile }) => (tile === 1 ? one : many) };
}
