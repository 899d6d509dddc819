import type { StepEntry } from "./device.ts";
import { CapstanError } from "./errors.ts";

/**
 * A batch whose `follows` are filled in from what the last step drew (-1: nothing), for devices that know it by the
 * time the next step is called.
 *
 * @throws CapstanError `bad_request` where an entry follows one that drew nothing, or holds more than one token
 */
export function resolveFollows(batch: readonly StepEntry[], drawn: readonly number[]): readonly StepEntry[] {
  if (batch.every(({ follows }) => follows === null)) return batch;
  return batch.map((entry, index) => {
    if (entry.follows === null) return entry;
    const token = drawn[entry.follows] ?? -1;
    if (entry.tokens.length !== 1 || token < 0) throw followRefused(index, entry.follows);
    const history = entry.sample?.history ?? null;
    const sample =
      entry.sample === null || history === null
        ? entry.sample
        : { ...entry.sample, history: Int32Array.from([...history, token]) };
    return { ...entry, tokens: Int32Array.of(token), follows: null, sample };
  });
}

/** The error of entry `index`, which follows what drew nothing or holds more than one token. */
export function followRefused(index: number, follows: number): CapstanError {
  return new CapstanError("bad_request", {
    action: `run entry ${index} of a step`,
    need: "one token, to follow an entry of the last step that drew one",
    found: `entry ${follows}`,
  });
}
