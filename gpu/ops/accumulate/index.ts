import type { Kernel } from "../../context.ts";
import { ACCUMULATE_OP } from "../../layout/ops.ts";
import type { BuildContext, Dispatch, Work } from "../../work.ts";
import { ACCUMULATE } from "./accumulate.wgsl.ts";

const KERNEL = {
  name: "accumulate",
  source: ACCUMULATE,
  op: ACCUMULATE_OP,
  bindings: ["read", "write"],
} satisfies Kernel;

/** What residual ops tapped goes into running sums: one dispatch a step, where any entry asks for it. */
export async function buildAccumulate({ gpu, program: { d_model } }: BuildContext): Promise<Work> {
  const all: Dispatch[] = [
    {
      pipeline: await gpu.pipeline(KERNEL, {}),
      op: KERNEL.op.pack({ d_model }),
      bindings: ({ buffers, accumulators }) => [buffers.results, accumulators.buffer],
      groups: ({ n_sums }) => [Math.ceil(d_model / 64), n_sums, 1],
    },
  ];
  return { all, choose: ({ n_sums }) => (n_sums === 0 ? [] : all) };
}
