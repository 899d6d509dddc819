import type { Program } from "../models/program.ts";
import type { Gpu, Pipeline } from "./context.ts";
import type { Resources } from "./resources.ts";
import type { Weights } from "./weights/load.ts";

/** Sizes of a step that decide how much is dispatched, and which variant. */
export interface StepSizes {
  n_rows: number;
  n_gathered: number;
  n_tiles: number;
  n_samples: number;
  n_sums: number;
  /** Rows of a sequence in one tile of attention. */
  tile: number;
}

/** One dispatch of a stage: a pipeline, its op's record, what it is bound to, how many workgroups it takes. */
export interface Dispatch {
  pipeline: Pipeline;
  /** The op's uniform record, packed. */
  op: Uint32Array;
  bindings(resources: Resources): readonly GPUBuffer[];
  groups(sizes: StepSizes): readonly [number, number, number];
}

/** What a stage runs in a step: one dispatch, or one for each chunk of a matrix; none where there is nothing to do. */
export interface Work {
  /** Every dispatch that any step may choose. */
  all: readonly Dispatch[];
  choose(sizes: StepSizes): readonly Dispatch[];
}

/** What the folders of ops build their work from. */
export interface BuildContext {
  gpu: Gpu;
  program: Program;
  weights: Weights;
}

/** Work that is the same single dispatch in every step. */
export function always(dispatch: Dispatch): Work {
  const all = [dispatch];
  return { all, choose: () => all };
}

/** Threads for a row that one workgroup holds in registers, and values of each; in few steps, to share pipelines. */
export function rowThreads(stride: number): { WG: number; E: number } {
  const threads = stride <= 512 ? 64 : 256;
  return { WG: threads, E: 2 ** Math.ceil(Math.log2(stride / threads)) };
}
