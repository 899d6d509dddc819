import { BLOCK_SIZE } from "../../cache.ts";
import { NONE } from "../../constants.ts";
import type { Kernel } from "../../context.ts";
import type { Stage } from "../../plan.ts";
import type { Resources } from "../../resources.ts";
import { always, type BuildContext, floatBits, type Work } from "../../work.ts";
import { ROPE_APPEND } from "./rope_append.wgsl.ts";

const KERNEL: Kernel = {
  name: "rope_append",
  source: ROPE_APPEND,
  bindings: ["read", "write", "write", "write", "read", "read"],
};

/** q and k of each row normed and turned by position (and by the length of its call), k and v appended to the paged cache. */
export async function buildRopeAppend(
  { rope, layer, row_norms, out }: Extract<Stage, { kind: "rope_append" }>,
  { buffers }: Resources,
  { gpu, program, weights }: BuildContext,
): Promise<Work> {
  const { n_kv_heads, d_head } = program;
  const rope_at = rope.rope === null ? null : buffers.ropeByLength(rope.rope);
  const pipeline = await gpu.pipeline(KERNEL, {
    WG: 64,
    D_HEAD: d_head,
    BLOCK: BLOCK_SIZE,
    NORM: row_norms !== null ? "row" : rope.q_norm !== null ? "head" : "none",
    LAYER_NORM: (row_norms?.q.kind ?? rope.norm) === "layer",
    HEAD_WEIGHTS: rope.q_norm !== null && program.weights[rope.q_norm]!.cols > d_head,
    INTERLEAVED: rope.layout === "interleaved",
    ROPE: rope.rope !== null,
    Q_SCALE: rope.q_scale !== null,
    BY_LENGTH: rope_at !== null,
  });
  const at = (weight: number | null, none = 0) => (weight === null ? none : weights.vectors_at.get(weight)!);
  const norms =
    row_norms === null
      ? [at(rope.q_norm), at(rope.k_norm), NONE, NONE]
      : [row_norms.q, row_norms.k]
          .map(({ weight }) => at(weight))
          .concat([row_norms.q, row_norms.k].map(({ bias }) => at(bias, NONE)));
  return always({
    pipeline,
    words: [
      ...norms,
      ...[rope.n_heads, n_kv_heads, buffers.stride(rope.buffer), buffers.stride(out)],
      rope.rope === null ? 0 : program.ropes[rope.rope]! / 2,
      floatBits(row_norms?.q.eps ?? rope.eps),
      floatBits(rope.q_scale?.beta ?? 0),
      rope.q_scale?.every ?? 1,
      rope_at ?? 0,
    ],
    bindings: ({ buffers, cache }) => [
      buffers.activation(rope.buffer),
      buffers.activation(out),
      cache.keys(layer),
      cache.values(layer),
      weights.vectors,
      rope.rope === null || rope_at !== null ? buffers.spare : buffers.rope(rope.rope),
    ],
    groups: ({ n_rows }) => [rope.n_heads + 2 * n_kv_heads, n_rows, 1],
  });
}
