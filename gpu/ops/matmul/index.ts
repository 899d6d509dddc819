import { entryOf, lastOf } from "../../../models/certain.ts";
import type { AdapterReport } from "../../adapter.ts";
import type { Gpu, Kernel, Pipeline } from "../../context.ts";
import { MATMUL_OP } from "../../layout/ops.ts";
import type { Values } from "../../layout/record.ts";
import type { Stage } from "../../plan.ts";
import type { Resources } from "../../resources.ts";
import { type Chunk, PACKING, type StoredMatrix } from "../../weights/layout.ts";
import type { BuildContext, Dispatch, StepSizes, Work } from "../../work.ts";
import { MATMAT } from "./matmat.wgsl.ts";
import { MATVEC } from "./matvec.wgsl.ts";

type MatmulStage = Extract<Stage, { kind: "matmul" }>;

const BINDINGS = ["read", "write", "read", "read"] as const;
const MATVEC_KERNEL = { name: "matvec", source: MATVEC, op: MATMUL_OP, bindings: BINDINGS } satisfies Kernel;
const MATMAT_KERNEL = { name: "matmat", source: MATMAT, op: MATMUL_OP, bindings: BINDINGS } satisfies Kernel;

/** Rows of input that matvec takes at once, by variant; beyond the last, tiles of matmat are better. */
const FEW_ROWS = [1, 4] as const;
const MOST_FEW_ROWS = 8;
/** Threads of a workgroup of matvec, and weight rows of a team of them. */
const THREADS = 64;
const TEAM_ROWS = 4;
/** Inputs and weight rows of a tile of matmat. */
const TILE = 64;

/** out = weight in + bias, or activation(gate) * up of it; over the gathered rows for the logits. */
export async function buildMatmul(
  stage: MatmulStage,
  { buffers }: Resources,
  { gpu, weights }: BuildContext,
): Promise<Work> {
  const matrix = entryOf(weights.matrices, stage.weight);
  const bias_at = stage.bias === null ? 0 : entryOf(weights.vectors_at, stage.bias);
  const rowsOf = (sizes: StepSizes) => (stage.logits !== null ? sizes.n_gathered : sizes.n_rows);
  const dispatches = ({ pipeline, inputs, outputs }: Variant) =>
    matrix.chunks.map((chunk): Dispatch => {
      const values = opValues(stage, matrix, chunk, buffers.stride(stage.out), bias_at);
      const across = Math.ceil((values.n_out * (stage.gated ? 2 : 1)) / outputs);
      return {
        pipeline,
        op: MATMUL_OP.pack(values),
        bindings: ({ buffers }) => [
          buffers.activation(stage.in),
          buffers.activation(stage.out),
          chunk.buffer,
          weights.vectors,
        ],
        groups: (sizes) => [across, Math.ceil(rowsOf(sizes) / inputs), 1],
      };
    });
  const { few, many } = await variants(stage, matrix, gpu);
  const few_rows = few.map((variant) => dispatches(variant));
  const many_rows = many === null ? null : dispatches(many);
  return {
    all: [...few_rows.flat(), ...(many_rows ?? [])],
    choose(sizes) {
      const rows = rowsOf(sizes);
      if (rows === 0) return [];
      if (rows > MOST_FEW_ROWS && many_rows !== null) return many_rows;
      return few_rows[FEW_ROWS.findIndex((n) => n >= rows)] ?? lastOf(few_rows);
    },
  };
}

/** A pipeline, and the inputs and weight rows that one of its workgroups takes. */
interface Variant {
  pipeline: Pipeline;
  inputs: number;
  outputs: number;
}

/** Kernels for few rows of input, by how many, and one for many where the adapter is good at tiles. */
async function variants(
  { gated, activation, bias, logits }: MatmulStage,
  { dtype }: StoredMatrix,
  gpu: Gpu,
): Promise<{ few: Variant[]; many: Variant | null }> {
  const { unit, quantised } = PACKING[dtype];
  const { features, subgroup_size, tiles } = gpu.adapter;
  const lanes = lanesOf(gpu.adapter);
  const constants = {
    DTYPE: dtype,
    QUANTISED: quantised,
    GATED: gated,
    ACTIVATION: activation ?? "none",
    BIAS: bias !== null,
    LOGITS: logits !== null,
    LOGIT_SCALE: { f32: logits?.scale ?? 1 },
    SOFTCAPPED: logits !== null && logits.softcap !== null,
    SOFTCAP: { f32: logits?.softcap ?? 1 },
  };
  const streams = { UNIT: unit, QUADS: unit / 4, LANES: lanes, WG: THREADS, R: TEAM_ROWS };
  const matvec = async (n: number): Promise<Variant> => {
    const own = { ...constants, ...streams, N: n, SUBGROUPS: lanes <= subgroup_size };
    const pipeline = await gpu.pipeline(MATVEC_KERNEL, own);
    return { pipeline, inputs: n, outputs: (THREADS / lanes) * TEAM_ROWS };
  };
  const matmat = async (): Promise<Variant> => {
    const pipeline = await gpu.pipeline(MATMAT_KERNEL, {
      ...constants,
      F16: features.f16 && dtype === "f16",
    });
    return { pipeline, inputs: TILE, outputs: TILE };
  };
  const [few, many] = await Promise.all([Promise.all(FEW_ROWS.map(matvec)), tiles ? matmat() : null]);
  return { few, many };
}

/**
 * Threads that share one row: a subgroup, or 32 where sums go through workgroup memory. Software adapters, whose threads
 * take turns, do with few.
 */
export function lanesOf({ subgroup_size, tiles }: AdapterReport): number {
  if (subgroup_size > 1) return Math.min(32, subgroup_size);
  return tiles ? 32 : 4;
}

function opValues(
  stage: MatmulStage,
  matrix: StoredMatrix,
  { first_row, n_rows, scales_at }: Chunk,
  out_stride: number,
  bias_at: number,
): Values<typeof MATMUL_OP.fields> {
  const pairs = stage.gated ? 2 : 1;
  const out_at = first_row / pairs;
  const is_last = first_row + n_rows === matrix.rows;
  // The last chunk also writes the zeros behind the row's end.
  const n_out = is_last ? out_stride - out_at : n_rows / pairs;
  const { k, rows } = matrix;
  return { n_rows, scales_at, first_row, k, rows, bias_at, out_at, n_out, out_stride };
}
