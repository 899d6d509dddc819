import type { Kernel } from "../../context.ts";
import { NORM_OP } from "../../layout/ops.ts";
import type { Stage } from "../../plan.ts";
import type { Resources } from "../../resources.ts";
import { type BuildContext, type Dispatch, rowThreads, type Work } from "../../work.ts";
import { normAddresses } from "../residual/index.ts";
import { NORM } from "./norm.wgsl.ts";

const KERNEL = {
  name: "norm",
  source: NORM,
  op: NORM_OP,
  bindings: ["read", "write", "read"],
} satisfies Kernel;

/** Rows normed by themselves: all, or (gathered) those whose logits are wanted. */
export async function buildNorm(
  { in: input, norm, gathered }: Extract<Stage, { kind: "norm" }>,
  { buffers }: Resources,
  { gpu, program: { d_model }, weights }: BuildContext,
): Promise<Work> {
  const stride = buffers.stride(input);
  const pipeline = await gpu.pipeline(KERNEL, {
    ...rowThreads(stride),
    LAYER_NORM: norm.kind === "layer",
    GATHERED: gathered,
  });
  const all: Dispatch[] = [
    {
      pipeline,
      op: KERNEL.op.pack({ ...normAddresses(norm, weights), d_model, stride, eps: norm.eps }),
      bindings: ({ buffers }) => [buffers.activation(input), buffers.activation(norm.out), weights.vectors],
      groups: ({ n_rows, n_gathered }) => [gathered ? n_gathered : n_rows, 1, 1],
    },
  ];
  return { all, choose: ({ n_gathered }) => (gathered && n_gathered === 0 ? [] : all) };
}
