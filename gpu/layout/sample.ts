import { itemAt } from "../../models/certain.ts";
import { SAMPLE_NUMBERS, type SampleNumbers } from "../../models/sample_numbers.ts";
import { nearestF32, record, type Values } from "./record.ts";

/**
 * The numbers that the kernel takes as they are. Of the others the host makes what it reads: `inverse_temperature`,
 * `random` (of seed and draw), `n_top`, and each adjustment's `count` (of what follows the prompt).
 */
const { temperature, n_prompt, draw, top_logprobs, ...AS_THEY_ARE } = SAMPLE_NUMBERS;
type Name = keyof typeof AS_THEY_ARE;
const NAMES = Object.keys(AS_THEY_ARE) as Name[];

/** Their types in a shader, which has no f64. */
const FIELDS = Object.fromEntries(
  NAMES.map((name) => [name, AS_THEY_ARE[name] === "f64" ? "f32" : AS_THEY_ARE[name]]),
) as { readonly [N in Name]: (typeof AS_THEY_ARE)[N] extends "f64" ? "f32" : (typeof AS_THEY_ARE)[N] };

const IS_FLOAT = NAMES.map((name) => FIELDS[name] === "f32");

/** What one entry draws, and how (`SampleParams` of `models/device.ts`). */
export const SAMPLE = record({
  ...FIELDS,
  /** Gathered row of its logits. */
  row: "u32",
  /** Slot of the results for the drawn token, where the next step may follow it. */
  slot: "u32",
  /** 1 / temperature; 0 is greedy. */
  inverse_temperature: "f32",
  /** The draw's uniform number, in [0, 1). */
  random: "f32",
  /** Likeliest ids to report; null reports no log-probabilities at all. */
  n_top: "u32?",
  adjustments_at: "u32",
  n_adjustments: "u32",
  /** Slot of the token that the step before drew, where penalties count it. */
  followed_slot: "u32?",
  /** In the results: `DRAWN` and what comes with it. */
  drawn_at: "u32",
  flag_at: "u32",
  /** In the results: `SAVED`, then the logits that adjustments change. */
  saved_at: "u32",
});

type SampleValues = Values<typeof SAMPLE.fields>;

/**
 * Puts the numbers that the kernel takes as they are, each the nearest that its field holds, with the other values.
 * In place: a spread would make an object of no fixed shape, which takes ten times as long to write.
 */
export function withNumbers(others: Omit<SampleValues, Name>, numbers: SampleNumbers): SampleValues {
  const values = others as Omit<SampleValues, Name> & Record<Name, number>;
  for (let i = 0; i < NAMES.length; i++) {
    const name = itemAt(NAMES, i);
    values[name] = IS_FLOAT[i] ? nearestF32(numbers[name]) : Math.min(numbers[name], 0xffffffff);
  }
  return values;
}

/** An id whose logit penalties or a bias may change. */
export const ADJUSTMENT = record({
  id: "u32",
  /** In the prompt or the reply. */
  appeared: "bool",
  /** Times in the reply. */
  count: "u32",
  bias: "f32",
});
