import { CODES } from "../layout/codes.ts";
import { ENTRY, ROW, STEP as STEP_RECORD } from "../layout/step.ts";

/** What every kernel is bound to: this step's sizes and addresses, its own op's record, the packed batch (`batch.ts`). */
export const STEP = /* wgsl */ `
${CODES}
${STEP_RECORD.struct("Step")}

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<uniform> op: Op;
@group(0) @binding(2) var<storage, read> batch: array<u32>;

${ROW.accessors({ name: "row", array: "batch", base: "step.rows_at" })}
${ENTRY.accessors({ name: "entry", array: "batch", base: "step.entries_at" })}
`;
