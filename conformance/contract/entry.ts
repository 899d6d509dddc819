import type { StepEntry } from "../../models/index.ts";

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
