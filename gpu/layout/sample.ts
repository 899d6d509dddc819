import { record } from "./record.ts";

/** What one entry draws, and how (`SampleParams` of `models/device.ts`). */
export const SAMPLE = record({
  /** Gathered row of its logits. */
  row: "u32",
  /** Slot of the results for the drawn token, where the next step may follow it. */
  slot: "u32",
  /** 1 / temperature; 0 is greedy. */
  inverse_temperature: "f32",
  /** 0 keeps all. */
  top_k: "u32",
  /** 1 keeps all. */
  top_p: "f32",
  /** 0 keeps all. */
  min_p: "f32",
  repetition_penalty: "f32",
  frequency_penalty: "f32",
  presence_penalty: "f32",
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

/** An id whose logit penalties or a bias may change. */
export const ADJUSTMENT = record({
  id: "u32",
  /** In the prompt or the reply. */
  appeared: "bool",
  /** Times in the reply. */
  count: "u32",
  bias: "f32",
});
