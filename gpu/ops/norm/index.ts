import type { Kernel } from "../../context.ts";
import type { Stage } from "../../plan.ts";
import type { Resources } from "../../resources.ts";
import { type BuildContext, threadsFor, type Work } from "../../work.ts";
import { NORM } from "./norm.wgsl.ts";

const KERNEL: Kernel = { name: "norm", source: NORM, bindings: ["read", "write", "read"] };

/** The rows whose logits are wanted, gathered and normed. */
export async function buildGatherNorm(
  { in: input, norm }: Extract<Stage, { kind: "gather_norm" }>,
  { buffers }: Resources,
  { gpu, program: { d_model }, weights }: BuildContext,
): Promise<Work> {
  const pipeline = await gpu.pipeline(KERNEL, {
    WG: threadsFor(d_model / 4, 32, 256),
    D_MODEL: d_model,
    STRIDE: buffers.stride(input),
    EPS: { f32: norm.eps },
  });
  const all = [
    {
      pipeline,
      words: [weights.vectors_at.get(norm.weight)!],
      bindings: ({ buffers }: Resources) => [
        buffers.activation(input),
        buffers.activation(norm.out),
        weights.vectors,
      ],
      groups: ({ n_gathered }: { n_gathered: number }) => [n_gathered, 1, 1] as const,
    },
  ];
  return { all, choose: ({ n_gathered }) => (n_gathered === 0 ? [] : all) };
}
