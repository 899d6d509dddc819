import { BLOCK_SIZE } from "../../cache.ts";
import type { Kernel } from "../../context.ts";
import type { Stage } from "../../plan.ts";
import type { Resources } from "../../resources.ts";
import { always, type BuildContext, type Work } from "../../work.ts";
import { ROPE_APPEND } from "./rope_append.wgsl.ts";

const KERNEL: Kernel = {
  name: "rope_append",
  source: ROPE_APPEND,
  bindings: ["write", "write", "write", "read", "read"],
};

/** q and k of each row normed and turned by position, k and v appended to the paged cache. */
export async function buildRopeAppend(
  { rope, layer }: Extract<Stage, { kind: "rope_append" }>,
  { buffers }: Resources,
  { gpu, program, weights }: BuildContext,
): Promise<Work> {
  const { n_kv_heads, d_head } = program;
  const pipeline = await gpu.pipeline(KERNEL, {
    WG: 64,
    D_HEAD: d_head,
    N_HEADS: rope.n_heads,
    N_KV_HEADS: n_kv_heads,
    QKV_STRIDE: buffers.stride(rope.buffer),
    BLOCK: BLOCK_SIZE,
    QK_NORM: rope.q_norm !== null,
    EPS: { f32: rope.eps },
    ROPE: rope.rope !== null,
    HALF: rope.rope === null ? 0 : program.ropes[rope.rope]! / 2,
  });
  const at = (weight: number | null) => (weight === null ? 0 : weights.vectors_at.get(weight)!);
  return always({
    pipeline,
    words: [at(rope.q_norm), at(rope.k_norm)],
    bindings: ({ buffers, cache }) => [
      buffers.activation(rope.buffer),
      cache.keys(layer),
      cache.values(layer),
      weights.vectors,
      rope.rope === null ? buffers.spare : buffers.rope(rope.rope),
    ],
    groups: ({ n_rows }) => [rope.n_heads + 2 * n_kv_heads, n_rows, 1],
  });
}
