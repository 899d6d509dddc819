import type { Mutant } from "../mutants.ts";
import { CORE_WASM } from "./core_wasm.ts";
import { EDGE } from "./edge.ts";
import { GPU } from "./gpu.ts";
import { GPU_KERNELS } from "./gpu_kernels.ts";
import { INFERENCE } from "./inference.ts";
import { MODELS } from "./models.ts";
import { OUTSIDE } from "./outside.ts";
import { PAGE } from "./page.ts";
import { SCIENCE } from "./science.ts";
import { SDK } from "./sdk.ts";

/** Every deliberate fault. A short text that stands once in its file outlives edits nearby. */
export const MUTANTS: readonly Mutant[] = [
  ...MODELS,
  ...CORE_WASM,
  ...GPU,
  ...GPU_KERNELS,
  ...SDK,
  ...INFERENCE,
  ...SCIENCE,
  ...EDGE,
  ...OUTSIDE,
  ...PAGE,
];
