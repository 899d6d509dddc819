import { entryOf, itemAt } from "../../../models/certain.ts";
import type { WeightId } from "../../../models/program.ts";
import { BLOCK_SIZE } from "../../cache.ts";
import type { Kernel } from "../../context.ts";
import { ROPE_APPEND_OP } from "../../layout/ops.ts";
import type { Stage } from "../../plan.ts";
import type { Resources } from "../../resources.ts";
import { always, type BuildContext, type Work } from "../../work.ts";
import { ROPE_APPEND } from "./rope_append.wgsl.ts";

const KERNEL = {
  name: "rope_append",
  source: ROPE_APPEND,
  op: ROPE_APPEND_OP,
  bindings: ["read", "write", "write", "write", "read", "read"],
} satisfies Kernel;

/** q and k of each row normed and rotated by position (and by the length of its call), k and v appended to the paged cache. */
export async function buildRopeAppend(
  { rope, layer, row_norms, out }: Extract<Stage, { kind: "rope_append" }>,
  { buffers }: Resources,
  { gpu, program, weights }: BuildContext,
): Promise<Work> {
  const { n_kv_heads, d_head } = program;
  const first_rotation = rope.rope === null ? null : buffers.ropeByLength(rope.rope);
  const pipeline = await gpu.pipeline(KERNEL, {
    WG: 64,
    D_HEAD: d_head,
    BLOCK: BLOCK_SIZE,
    NORM: row_norms !== null ? "row" : rope.q_norm !== null ? "head" : "none",
    LAYER_NORM: (row_norms?.q.kind ?? rope.norm) === "layer",
    HEAD_WEIGHTS: rope.q_norm !== null && itemAt(program.weights, rope.q_norm).cols > d_head,
    INTERLEAVED: rope.layout === "interleaved",
    ROPE: rope.rope !== null,
    Q_SCALE: rope.q_scale !== null,
    BY_LENGTH: first_rotation !== null,
  });
  const at = (weight: WeightId | null) => (weight === null ? null : entryOf(weights.vectors_at, weight));
  return always({
    pipeline,
    op: KERNEL.op.pack({
      q_norm_at: at(row_norms?.q.weight ?? rope.q_norm) ?? 0,
      k_norm_at: at(row_norms?.k.weight ?? rope.k_norm) ?? 0,
      q_bias_at: at(row_norms?.q.bias ?? null),
      k_bias_at: at(row_norms?.k.bias ?? null),
      n_heads: rope.n_heads,
      n_kv_heads,
      qkv_stride: buffers.stride(rope.buffer),
      out_stride: buffers.stride(out),
      half: rope.rope === null ? 0 : itemAt(program.ropes, rope.rope) / 2,
      eps: row_norms?.q.eps ?? rope.eps,
      q_beta: rope.q_scale?.beta ?? 0,
      q_every: rope.q_scale?.every ?? 1,
      first_rotation: first_rotation ?? 0,
    }),
    bindings: ({ buffers, cache }) => [
      buffers.activation(rope.buffer),
      buffers.activation(out),
      cache.keys(layer),
      cache.values(layer),
      weights.vectors,
      rope.rope === null || first_rotation !== null ? buffers.spare : buffers.rope(rope.rope),
    ],
    groups: ({ n_rows }) => [rope.n_heads + 2 * n_kv_heads, n_rows, 1],
  });
}
