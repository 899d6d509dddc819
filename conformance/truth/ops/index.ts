import type { Op } from "../../../models/index.ts";
import type { StepRun } from "../run.ts";
import { act, gatedAct } from "./act.ts";
import { attention } from "./attention.ts";
import { embed } from "./embed.ts";
import { experts, router } from "./experts.ts";
import { gather } from "./gather.ts";
import { kvAppend } from "./kv_append.ts";
import { logits } from "./logits.ts";
import { matmul } from "./matmul.ts";
import { norm } from "./norm.ts";
import { residualAdd } from "./residual_add.ts";
import { rope } from "./rope.ts";
import { sample } from "./sample.ts";

/** Every op's own function: one that is missing here does not compile. */
const OPS: { [K in Op["op"]]: (run: StepRun, op: Extract<Op, { op: K }>) => void } = {
  embed,
  norm,
  matmul,
  rope,
  kv_append: kvAppend,
  attention,
  gated_act: gatedAct,
  act,
  router,
  experts,
  residual_add: residualAdd,
  gather,
  logits,
  sample,
};

/** One op over all rows of a step. */
export function runOp(run: StepRun, op: Op): void {
  (OPS[op.op] as (run: StepRun, op: Op) => void)(run, op);
}
