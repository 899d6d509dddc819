import type { Stage } from "../plan.ts";
import type { Resources } from "../resources.ts";
import type { BuildContext, Work } from "../work.ts";
import { buildAttention } from "./attention/index.ts";
import { buildExperts } from "./experts/index.ts";
import { buildMatmul } from "./matmul/index.ts";
import { buildNorm } from "./norm/index.ts";
import { buildEmbed, buildResidualAdd } from "./residual/index.ts";
import { buildRopeAppend } from "./rope_append/index.ts";
import { buildSample } from "./sample/index.ts";

/** A stage's work, its pipelines compiled. */
export function buildStage(stage: Stage, resources: Resources, context: BuildContext): Promise<Work> {
  switch (stage.kind) {
    case "embed":
      return buildEmbed(stage, resources, context);
    case "residual_add":
      return buildResidualAdd(stage, resources, context);
    case "matmul":
      return buildMatmul(stage, resources, context);
    case "rope_append":
      return buildRopeAppend(stage, resources, context);
    case "attention":
      return buildAttention(stage, resources, context);
    case "experts":
      return buildExperts(stage, resources, context);
    case "norm":
      return buildNorm(stage, resources, context);
    case "sample":
      return buildSample(resources, context);
    default:
      return stage satisfies never;
  }
}
