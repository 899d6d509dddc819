import type { Kernel, Pipeline } from "../../context.ts";
import type { Stage } from "../../plan.ts";
import type { Resources } from "../../resources.ts";
import { type Chunk, PACKING, type StoredMatrix } from "../../weights/layout.ts";
import type { BuildContext, Dispatch, StepSizes, Work } from "../../work.ts";
import { MATMAT } from "./matmat.wgsl.ts";
import { MATVEC } from "./matvec.wgsl.ts";

type MatmulStage = Extract<Stage, { kind: "matmul" }>;

const BINDINGS = ["read", "write", "read", "read"] as const;
const MATVEC_KERNEL: Kernel = { name: "matvec", source: MATVEC, bindings: BINDINGS };
const MATMAT_KERNEL: Kernel = { name: "matmat", source: MATMAT, bindings: BINDINGS };

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
  const matrix = weights.matrices.get(stage.weight)!;
  const lanes = lanesOf(gpu.adapter.subgroup_size);
  const constants = {
    DTYPE: matrix.dtype,
    QUANTISED: PACKING[matrix.dtype].quantised,
    GATED: stage.gated,
    ACTIVATION: stage.activation ?? "none",
    BIAS: stage.bias !== null,
    LOGITS: stage.logits !== null,
    ...(stage.logits === null
      ? {}
      : {
          LOGIT_SCALE: { f32: stage.logits.scale },
          SOFTCAPPED: stage.logits.softcap !== null,
          SOFTCAP: { f32: stage.logits.softcap ?? 1 },
        }),
  };
  const matvec = FEW_ROWS.map((n) =>
    gpu.pipeline(MATVEC_KERNEL, {
      ...constants,
      UNIT: PACKING[matrix.dtype].unit,
      QUADS: PACKING[matrix.dtype].unit / 4,
      LANES: lanes,
      WG: THREADS,
      R: TEAM_ROWS,
      N: n,
      SUBGROUPS: lanes <= gpu.adapter.subgroup_size,
    }),
  );
  const [few_made, many_made] = await Promise.all([
    Promise.all(matvec),
    gpu.pipeline(MATMAT_KERNEL, constants),
  ]);
  const bias = stage.bias === null ? 0 : weights.vectors_at.get(stage.bias)!;
  const rowsOf = (sizes: StepSizes) => (stage.logits !== null ? sizes.n_gathered : sizes.n_rows);
  const dispatches = (pipeline: Pipeline, inputs: number, outputs: number) =>
    matrix.chunks.map((chunk): Dispatch => {
      const words = opWords(stage, matrix, chunk, buffers.stride(stage.out), bias);
      const pairs = stage.gated ? 2 : 1;
      const across = Math.ceil((words[7]! * pairs) / outputs);
      return {
        pipeline,
        words,
        bindings: ({ buffers }) => [
          buffers.activation(stage.in),
          buffers.activation(stage.out),
          chunk.buffer,
          weights.vectors,
        ],
        groups: (sizes) => [across, Math.ceil(rowsOf(sizes) / inputs), 1],
      };
    });
  const team_outputs = (THREADS / lanes) * TEAM_ROWS;
  const few = few_made.map((made, i) => dispatches(made, FEW_ROWS[i]!, team_outputs));
  const many = dispatches(many_made, TILE, TILE);
  return {
    all: [...few.flat(), ...many],
    choose(sizes) {
      const rows = rowsOf(sizes);
      if (rows === 0) return [];
      if (rows > MOST_FEW_ROWS) return many;
      return few[FEW_ROWS.findIndex((n) => n >= rows)] ?? few.at(-1)!;
    },
  };
}

/** Threads that share one row: a subgroup where there are any and it is not wider than a row needs. */
export function lanesOf(subgroup_size: number): number {
  return subgroup_size > 1 ? Math.min(32, subgroup_size) : 32;
}

function opWords(
  stage: MatmulStage,
  matrix: StoredMatrix,
  { first_row, n_rows, scales_at }: Chunk,
  out_stride: number,
  bias: number,
): number[] {
  const pairs = stage.gated ? 2 : 1;
  const out_at = first_row / pairs;
  const is_last = first_row + n_rows === matrix.rows;
  // The last chunk also writes the zeros behind the row's end.
  const n_out = is_last ? out_stride - out_at : n_rows / pairs;
  return [n_rows, scales_at, first_row, matrix.k, matrix.rows, bias, out_at, n_out, out_stride];
}
