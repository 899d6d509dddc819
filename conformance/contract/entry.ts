import { onlyOf } from "../../models/certain.ts";
import type { DeviceModel, StepEntry, StepResult } from "../../models/index.ts";

/** What an entry is asked for where nothing is said: a sequence's start without hooks, of which the last logits are read. */
export function stepEntry(asked: Pick<StepEntry, "tokens" | "blocks"> & Partial<StepEntry>): StepEntry {
  return {
    follows: null,
    position: 0,
    rope_lengths: null,
    hooks: 0,
    ends_call: true,
    sample: null,
    logits: "last",
    captures: [],
    accumulate: [],
    ...asked,
  };
}

/** The result of a step with one entry. */
export async function stepAlone(model: DeviceModel, entry: StepEntry): Promise<StepResult> {
  return onlyOf(await model.step([entry]));
}
