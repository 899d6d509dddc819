import type { GeneratedToken, GenerateResult, Model } from "../../sdk/types.ts";
import type { TokenLogprob, Usage } from "./chat.ts";

/** What clients read of tokens: their log-probabilities and their number. */

const encoder = new TextEncoder();

export function tokenLogprob(model: Model, { id, logprob, top_logprobs }: GeneratedToken): TokenLogprob {
  const described = (id: number, logprob: number) => {
    const token = model.tokenizer.decode([id]);
    // Part of a character has no bytes that its text could give.
    return { token, logprob, bytes: token.includes("\ufffd") ? null : [...encoder.encode(token)] };
  };
  const top = (top_logprobs ?? []).map((one) => described(one.id, one.logprob));
  return { ...described(id, logprob ?? 0), top_logprobs: top };
}

/** The usage of replies to one prompt, or to several: what they cost in all. */
export function usageOf(results: readonly GenerateResult[], n_prompts = 1, reasoning_tokens = 0): Usage {
  const sum = (of: (usage: GenerateResult["usage"]) => number) =>
    results.reduce((total, { usage }) => total + of(usage), 0);
  // Each prompt counts once, however many replies it has.
  const share = n_prompts / results.length;
  const prompt_tokens = Math.round(sum((usage) => usage.prompt_tokens) * share);
  const completion_tokens = sum((usage) => usage.completion_tokens);
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens: Math.round(sum((usage) => usage.cached_tokens) * share) },
    completion_tokens_details: { reasoning_tokens },
  };
}

/** Which weights and which arithmetic: replies of one seed are alike where this is. */
export function fingerprint({ digest, device }: Model): string {
  return `fp_${digest.replace("sha256:", "").slice(0, 12)}_${device.kind}_${device.dtype}`;
}
