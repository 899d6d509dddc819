import { record } from "./record.ts";

/** The drawn token. */
export const DRAWN = record({ token: "u32" });

/** Behind `DRAWN`, where log-probabilities are wanted: logits are the model's own. */
export const LOGPROBS = record({
  highest: "f32",
  /** Of e^(logit - highest) over the vocabulary. */
  sum: "f32",
  /** The drawn token's. */
  logit: "f32",
});

/** Behind `LOGPROBS`: the likeliest ids, in order. */
export const LIKELY = record({ id: "u32", logit: "f32" });

/** The logit of a followed token that is not among the adjustments, before it is changed. The others' come behind it. */
export const SAVED = record({ followed: "u32?", logit: "f32" });

/** An expert that a row is sent to. */
export const ROUTE = record({ expert: "u32", share: "f32" });
