import { entryOf, itemAt } from "../../../models/certain.ts";
import type { WeightId } from "../../../models/program.ts";
import type { Kernel } from "../../context.ts";
import { EMBED_OP, RESIDUAL_OP } from "../../layout/ops.ts";
import type { Values } from "../../layout/record.ts";
import type { FusedNorm, Stage } from "../../plan.ts";
import type { Resources } from "../../resources.ts";
import { PACKING } from "../../weights/layout.ts";
import type { Weights } from "../../weights/load.ts";
import { always, type BuildContext, type Dispatch, rowThreads, type Work } from "../../work.ts";
import { RESIDUAL } from "./residual.wgsl.ts";

type EmbedStage = Extract<Stage, { kind: "embed" }>;
type AddStage = Extract<Stage, { kind: "residual_add" }>;

const BINDINGS = ["write", "write", "read", "read", "write", "read"] as const;
const ADD_KERNEL = {
  name: "residual",
  source: RESIDUAL,
  op: RESIDUAL_OP,
  bindings: BINDINGS,
} satisfies Kernel;
const EMBED_KERNEL = { ...ADD_KERNEL, name: "embed", op: EMBED_OP } satisfies Kernel;
const WITH_POSITIONS = { ...EMBED_KERNEL, bindings: [...BINDINGS, "read"] } satisfies Kernel;

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
  const pipeline = await context.gpu.pipeline(ADD_KERNEL, constants);
  return always({
    pipeline,
    op: RESIDUAL_OP.pack(sharedValues(stage, op, op.in_site, resources.buffers.stride(op.into), context)),
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
  const matrix = entryOf(weights.matrices, op.weight);
  const positions = op.positions === null ? null : entryOf(weights.matrices, op.positions);
  const constants = {
    ...sharedConstants(stage, op.out, resources, context),
    EMBED: true,
    POSITIONS: positions !== null,
    NORM: norm === null ? "none" : "after",
    PRE_NORM: false,
    DTYPE: matrix.dtype,
    QUANTISED: PACKING[matrix.dtype].quantised,
  };
  const pipeline = await gpu.pipeline(positions === null ? EMBED_KERNEL : WITH_POSITIONS, constants);
  const all = matrix.chunks.map(
    ({ buffer, first_row, n_rows, scales_at }): Dispatch => ({
      pipeline,
      op: EMBED_OP.pack({
        ...sharedValues({ ...stage, pre_norm: null }, op, null, stride, context),
        first_row,
        n_rows,
        scales_at,
        k: matrix.k,
      }),
      bindings: ({ buffers, hooks }) => [
        ...sharedBindings(op.out, norm, { buffers, hooks }, weights),
        buffer,
        ...(positions === null ? [] : [itemAt(positions.chunks, 0).buffer]),
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
          N_EXPERTS: entryOf(weights.routers_rows, router.weight),
          TOP_K: router.top_k,
          RENORMALISE: router.renormalise,
        }),
  };
}

function sharedValues(
  { norm, pre_norm, router }: Pick<AddStage, "norm" | "pre_norm" | "router">,
  { scale, sites }: { scale: number; sites: readonly number[] },
  in_site: number | null,
  stride: number,
  { program, weights }: BuildContext,
): Values<typeof RESIDUAL_OP.fields> {
  const [after, before] = [normAddresses(norm, weights), normAddresses(pre_norm, weights)];
  return {
    sites: [in_site, sites[0] ?? null, sites[1] ?? null],
    d_model: program.d_model,
    stride,
    scale,
    eps: (norm ?? pre_norm)?.eps ?? 0,
    norm_weight_at: after.weight_at,
    norm_bias_at: after.bias_at,
    pre_weight_at: before.weight_at,
    pre_bias_at: before.bias_at,
    router_at: router === null ? 0 : entryOf(weights.vectors_at, router.weight),
  };
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

/** Addresses of a norm's weight and bias among the vectors; what no kernel reads where there is no norm. */
export function normAddresses(
  norm: FusedNorm | null,
  { vectors_at }: Weights,
): { weight_at: number; bias_at: number | null } {
  if (norm === null) return { weight_at: 0, bias_at: null };
  return { weight_at: entryOf(vectors_at, norm.weight), bias_at: addressOf(norm.bias, vectors_at) };
}

function addressOf(weight: WeightId | null, at: Weights["vectors_at"]): number | null {
  return weight === null ? null : entryOf(at, weight);
}
