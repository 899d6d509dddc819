import { NONE } from "../../constants.ts";
import type { Kernel } from "../../context.ts";
import type { FusedNorm, Stage } from "../../plan.ts";
import type { Resources } from "../../resources.ts";
import { PACKING } from "../../weights/layout.ts";
import type { Weights } from "../../weights/load.ts";
import { always, type BuildContext, type Dispatch, floatBits, rowThreads, type Work } from "../../work.ts";
import { RESIDUAL } from "./residual.wgsl.ts";

type EmbedStage = Extract<Stage, { kind: "embed" }>;
type AddStage = Extract<Stage, { kind: "residual_add" }>;

const BINDINGS = ["write", "write", "read", "read", "write", "read"] as const;
const KERNEL: Kernel = { name: "residual", source: RESIDUAL, bindings: BINDINGS };
const WITH_POSITIONS: Kernel = { ...KERNEL, bindings: [...BINDINGS, "read"] };

/** Rows added to the residual stream, with the hooks of their sites and the norms on both sides. */
export async function buildResidualAdd(
  stage: AddStage,
  resources: Resources,
  context: BuildContext,
): Promise<Work> {
  const { op, pre_norm, norm, norm_of } = stage;
  const constants = {
    ...sharedConstants(stage, op.into, resources, context),
    EMBED: false,
    POSITIONS: false,
    NORM: norm === null ? "none" : norm_of,
    PRE_NORM: pre_norm !== null,
  };
  const pipeline = await context.gpu.pipeline(KERNEL, constants);
  return always({
    pipeline,
    words: sharedWords(stage, op, op.in_site, resources.buffers.stride(op.into), context),
    bindings: ({ buffers, hooks }) => [
      ...sharedBindings(op.into, norm, { buffers, hooks }, context.weights),
      buffers.activation(op.in),
    ],
    groups: ({ n_rows }) => [n_rows, 1, 1],
  });
}

/** Rows looked up by token, one dispatch for each chunk of the matrix. */
export async function buildEmbed(
  stage: EmbedStage,
  resources: Resources,
  context: BuildContext,
): Promise<Work> {
  const { op, norm } = stage;
  const { gpu, weights } = context;
  const stride = resources.buffers.stride(op.out);
  const matrix = weights.matrices.get(op.weight)!;
  const positions = op.positions === null ? null : weights.matrices.get(op.positions)!;
  const constants = {
    ...sharedConstants(stage, op.out, resources, context),
    EMBED: true,
    POSITIONS: positions !== null,
    NORM: norm === null ? "none" : "after",
    PRE_NORM: false,
    DTYPE: matrix.dtype,
    QUANTISED: PACKING[matrix.dtype].quantised,
  };
  const pipeline = await gpu.pipeline(positions === null ? KERNEL : WITH_POSITIONS, constants);
  const all = matrix.chunks.map(
    ({ buffer, first_row, n_rows, scales_at }): Dispatch => ({
      pipeline,
      words: [
        ...sharedWords({ ...stage, pre_norm: null }, op, NONE, stride, context),
        ...[first_row, n_rows, scales_at, matrix.k],
      ],
      bindings: ({ buffers, hooks }) => [
        ...sharedBindings(op.out, norm, { buffers, hooks }, weights),
        buffer,
        ...(positions === null ? [] : [positions.chunks[0]!.buffer]),
      ],
      groups: ({ n_rows }) => [n_rows, 1, 1],
    }),
  );
  return { all, choose: () => all };
}

function sharedConstants(
  { norm, router, ...stage }: EmbedStage | AddStage,
  into: "h",
  { buffers }: Resources,
  { weights }: BuildContext,
) {
  const any_norm = norm ?? ("pre_norm" in stage ? stage.pre_norm : null);
  return {
    ...rowThreads(buffers.stride(into)),
    LAYER_NORM: any_norm?.kind === "layer",
    ROUTER: router !== null,
    ...(router === null
      ? {}
      : {
          N_EXPERTS: weights.routers_rows.get(router.weight)!,
          TOP_K: router.top_k,
          RENORMALISE: router.renormalise,
        }),
  };
}

function sharedWords(
  { norm, pre_norm, router }: Pick<AddStage, "norm" | "pre_norm" | "router">,
  { scale, sites }: { scale: number; sites: readonly number[] },
  in_site: number,
  stride: number,
  { program, weights }: BuildContext,
): number[] {
  return [
    in_site,
    sites[0] ?? NONE,
    sites[1] ?? NONE,
    program.d_model,
    stride,
    floatBits(scale),
    floatBits((norm ?? pre_norm)?.eps ?? 0),
    ...normWords(norm, weights.vectors_at),
    ...normWords(pre_norm, weights.vectors_at),
    router === null ? 0 : weights.vectors_at.get(router.weight)!,
  ];
}

function sharedBindings(
  into: "h",
  norm: FusedNorm | null,
  { buffers, hooks }: Pick<Resources, "buffers" | "hooks">,
  weights: Weights,
): GPUBuffer[] {
  const x = norm === null ? buffers.spare : buffers.activation(norm.out);
  return [buffers.activation(into), x, weights.vectors, hooks.buffer, buffers.results];
}

/** Where a norm's weight and bias lie among the vectors. */
export function normWords(norm: FusedNorm | null, at: Weights["vectors_at"]): [number, number] {
  if (norm === null) return [0, 0];
  return [at.get(norm.weight)!, norm.bias === null ? NONE : at.get(norm.bias)!];
}
