/**
 * The numbers of `SampleParams`. They are declared here alone: `SampleParams` has them by type, `core-wasm/codes.mjs`
 * makes the engine's struct of them, and the GPU's record has those that its kernel takes as they are.
 */
export const SAMPLE_NUMBERS = {
  /** 0 is greedy (the lowest id on a tie). */
  temperature: "f64",
  /** 0 keeps all. */
  top_k: "u32",
  /** 1 keeps all. */
  top_p: "f64",
  /** Keeps tokens of at least min_p times the likeliest one's probability; 0 keeps all. */
  min_p: "f64",
  /** Over prompt and reply, as transformers does it: a positive logit is divided, a negative multiplied. 1 is none. */
  repetition_penalty: "f64",
  /** Over the reply, as OpenAI does it: count * penalty is subtracted. 0 is none. */
  frequency_penalty: "f64",
  /** Over the reply: the penalty is subtracted once a token has appeared. 0 is none. */
  presence_penalty: "f64",
  /** Tokens of `history` that are the prompt. */
  n_prompt: "u32",
  /** Number of this draw in its sequence, from 0. */
  draw: "u32",
  /** Likeliest ids to report with their log-probabilities; -1 reports not even the drawn one's. */
  top_logprobs: "i32",
} as const satisfies Record<string, "f64" | "u32" | "i32">;

export type SampleNumbers = { -readonly [Name in keyof typeof SAMPLE_NUMBERS]: number };
