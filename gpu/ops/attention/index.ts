import { BLOCK_SIZE } from "../../cache.ts";
import type { Kernel } from "../../context.ts";
import { ATTENTION_OP } from "../../layout/ops.ts";
import type { Stage } from "../../plan.ts";
import type { Resources } from "../../resources.ts";
import type { BuildContext, Dispatch, Work } from "../../work.ts";
import { ATTENTION } from "./attention.wgsl.ts";

const KERNEL = {
  name: "attention",
  source: ATTENTION,
  op: ATTENTION_OP,
  bindings: ["read", "read", "write"],
} satisfies Kernel;

/** Queries that share the keys and values a workgroup reads: their sums are its threads' registers. */
const MOST_QUERIES = 8;
const THREADS = 128;
/** Wider than any context, and still a number that positions may be added to. */
const NO_WINDOW = 2 ** 30;

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
    const queries = tile * per_kv;
    const depth = Math.ceil(d_head / THREADS);
    const pipeline = await gpu.pipeline(KERNEL, {
      WG: THREADS,
      PER_KV: per_kv,
      M: queries,
      M_POWER: 2 ** Math.ceil(Math.log2(queries)),
      D_HEAD: d_head,
      DEPTH: depth,
      // Whether some threads have fewer dimensions than others.
      RAGGED: depth > 1 && d_head % THREADS !== 0,
      BLOCK: BLOCK_SIZE,
      SOFTCAPPED: op.softcap !== null,
    });
    return {
      pipeline,
      op: KERNEL.op.pack({
        n_kv_heads,
        heads_per_kv,
        out_stride: buffers.stride(op.out),
        window: op.window ?? NO_WINDOW,
        scale: op.scale,
        softcap: op.softcap ?? 1,
      }),
      bindings: ({ buffers, cache }) => [
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
