import { MATMUL_WRITE } from "../ops/matmul/write.ts";
import { ACTIVATION } from "./activation.ts";
import { EXP } from "./exp.ts";
import { HOOKS } from "./hooks.ts";
import { MATRIX } from "./matrix.ts";
import { NORMALISE } from "./normalise.ts";
import { REDUCE, REDUCE_U32 } from "./reduce.ts";
import { ROUTER } from "./router.ts";
import { STEP } from "./step.ts";
import { UNIT } from "./unit.ts";

/** Pieces that kernels share, by the name they are included with. */
export const SNIPPETS: Readonly<Record<string, string>> = {
  activation: ACTIVATION,
  exp: EXP,
  hooks: HOOKS,
  matmul_write: MATMUL_WRITE,
  matrix: MATRIX,
  normalise: NORMALISE,
  reduce: REDUCE,
  reduce_u32: REDUCE_U32,
  router: ROUTER,
  step: STEP,
  unit: UNIT,
};
