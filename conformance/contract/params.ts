import type { SampleParams } from "../../models/index.ts";

export const GREEDY: SampleParams = {
  temperature: 0,
  top_k: 0,
  top_p: 1,
  min_p: 0,
  repetition_penalty: 1,
  frequency_penalty: 0,
  presence_penalty: 0,
  logit_bias: [],
  history: null,
  n_prompt: 0,
  seed: [1, 2],
  draw: 0,
  top_logprobs: -1,
};

/** Plain sampling at temperature 1, changed where a check says so. */
export function sampling(changes: Partial<SampleParams> = {}): SampleParams {
  return { ...GREEDY, temperature: 1, ...changes };
}
