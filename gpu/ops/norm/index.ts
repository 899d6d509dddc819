import type { Kernel } from "../../context.ts";
import type { Stage } from "../../plan.ts";
import type { Resources } from "../../resources.ts";
import { type BuildContext, type Dispatch, floatBits, rowThreads, type Work } from "../../work.ts";
import { normWords } from "../residual/index.ts";
import { NORM } from "./norm.wgsl.ts";

const KERNEL: Kernel = { name: "norm", source: NORM, bindings: ["read", "write", "read"] };

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
      words: [...normWords(norm, weights.vectors_at), d_model, stride, floatBits(norm.eps)],
      bindings: ({ buffers }) => [buffers.activation(input), buffers.activation(norm.out), weights.vectors],
      groups: ({ n_rows, n_gathered }) => [gathered ? n_gathered : n_rows, 1, 1],
    },
  ];
  return { all, choose: ({ n_gathered }) => (gathered && n_gathered === 0 ? [] : all) };
}
