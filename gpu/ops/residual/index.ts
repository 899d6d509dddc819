import type { Kernel } from "../../context.ts";
import type { Stage } from "../../plan.ts";
import type { Resources } from "../../resources.ts";
import { PACKING } from "../../weights/layout.ts";
import { always, type BuildContext, type Dispatch, threadsFor, type Work } from "../../work.ts";
import { RESIDUAL } from "./residual.wgsl.ts";

type EmbedStage = Extract<Stage, { kind: "embed" }>;
type AddStage = Extract<Stage, { kind: "residual_add" }>;

const KERNEL: Kernel = {
  name: "residual",
  source: RESIDUAL,
  bindings: ["write", "write", "read", "read", "write", "read"],
};

/** The residual stream's one room: rows looked up or added, hooks of the sites, and the norm of what comes next. */
export async function buildResidual(
  stage: EmbedStage | AddStage,
  resources: Resources,
  { gpu, program, weights }: BuildContext,
): Promise<Work> {
  const { d_model } = program;
  const { norm, sites } = stage;
  const into = stage.kind === "embed" ? stage.out : stage.into;
  const stride = resources.buffers.stride(into);
  const threads = threadsFor(d_model / 4, 32, 256);
  const matrix = stage.kind === "embed" ? weights.matrices.get(stage.weight)! : null;
  const pipeline = await gpu.pipeline(KERNEL, {
    D_MODEL: d_model,
    STRIDE: stride,
    WG: threads,
    E: Math.ceil(stride / threads),
    EMBED: matrix !== null,
    NORM: norm !== null,
    EPS: { f32: norm?.eps ?? 0 },
    ...(matrix === null
      ? {}
      : { DTYPE: matrix.dtype, K: matrix.k, QUANTISED: PACKING[matrix.dtype].quantised }),
  });
  const in_site = stage.kind === "embed" ? 0 : stage.in_site;
  const norm_weight = norm === null ? 0 : weights.vectors_at.get(norm.weight)!;
  const words = [in_site, sites.length, sites[0] ?? 0, sites[1] ?? 0, norm_weight];
  const dispatch = (last: () => GPUBuffer, more: readonly number[]): Dispatch => ({
    pipeline,
    words: [...words, ...more],
    bindings: ({ buffers, hooks }) => [
      buffers.activation(into),
      norm === null ? buffers.spare : buffers.activation(norm.out),
      weights.vectors,
      hooks.buffer,
      buffers.results,
      last(),
    ],
    groups: ({ n_rows }) => [n_rows, 1, 1],
  });
  if (stage.kind === "residual_add") {
    return always(dispatch(() => resources.buffers.activation(stage.in), []));
  }
  const all = matrix!.chunks.map(({ buffer, first_row, n_rows, scales_at }) =>
    dispatch(() => buffer, [first_row, n_rows, scales_at]),
  );
  return { all, choose: () => all };
}
