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

/** One dispatch of a stage: a pipeline, its op's words, what it is bound to, how many workgroups it takes. */
export interface Dispatch {
  pipeline: Pipeline;
  /** The op's uniform record. */
  words: readonly number[];
  bindings(resources: Resources): readonly GPUBuffer[];
  groups(sizes: StepSizes): readonly [number, number, number];
}

/** What a stage runs in a step: one dispatch, or one for each chunk of a matrix; none where there is nothing to do. */
export interface Work {
  /** Every dispatch that any step may choose. */
  all: readonly Dispatch[];
  choose(sizes: StepSizes): readonly Dispatch[];
}

/** What rooms build their work from. */
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

/** A power of two from `least` to `most` that is near a count of things to share out. */
export function threadsFor(count: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, 2 ** Math.ceil(Math.log2(Math.max(1, count)))));
}
