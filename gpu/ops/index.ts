import type { Stage } from "../plan.ts";
import type { Resources } from "../resources.ts";
import type { BuildContext, Work } from "../work.ts";
import { buildAttention } from "./attention/index.ts";
import { buildMatmul } from "./matmul/index.ts";
import { buildGatherNorm } from "./norm/index.ts";
import { buildResidual } from "./residual/index.ts";
import { buildRopeAppend } from "./rope_append/index.ts";
import { buildSample } from "./sample/index.ts";

/** A stage's work, its pipelines compiled. */
export function buildStage(stage: Stage, resources: Resources, context: BuildContext): Promise<Work> {
  switch (stage.kind) {
    case "embed":
    case "residual_add":
      return buildResidual(stage, resources, context);
    case "matmul":
      return buildMatmul(stage, resources, context);
    case "rope_append":
      return buildRopeAppend(stage, resources, context);
    case "attention":
      return buildAttention(stage, resources, context);
    case "gather_norm":
      return buildGatherNorm(stage, resources, context);
    case "sample":
      return buildSample(resources, context);
    default:
      return stage satisfies never;
  }
}
