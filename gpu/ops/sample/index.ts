import type { Kernel } from "../../context.ts";
import { SAMPLE_OP } from "../../layout/ops.ts";
import type { Resources } from "../../resources.ts";
import type { BuildContext, Dispatch, Work } from "../../work.ts";
import { SAMPLE } from "./sample.wgsl.ts";

const KERNEL = {
  name: "sample",
  source: SAMPLE,
  op: SAMPLE_OP,
  bindings: ["write", "write"],
} satisfies Kernel;

/** Up to here few threads, which wait little at barriers, draw sooner than many. */
const SMALL_VOCAB = 8192;

/** A token for each sequence that asks for one, drawn from its row of logits. */
export async function buildSample(
  { buffers }: Resources,
  { gpu, program: { d_vocab } }: BuildContext,
): Promise<Work> {
  const all: Dispatch[] = [
    {
      pipeline: await gpu.pipeline(KERNEL, { WG: d_vocab <= SMALL_VOCAB ? 64 : 256 }),
      op: KERNEL.op.pack({ d_vocab, stride: buffers.stride("logits") }),
      bindings: ({ buffers }) => [buffers.activation("logits"), buffers.results],
      groups: ({ n_samples }) => [n_samples, 1, 1],
    },
  ];
  return { all, choose: ({ n_samples }) => (n_samples === 0 ? [] : all) };
}
