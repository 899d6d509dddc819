import { lastOf } from "../../models/certain.ts";
import type { GeneratedToken } from "../../sdk/types.ts";
import type { Call } from "./call.ts";

/** A prompt's own log-probabilities, for `echo` with `logprobs`: what a model thinks of a text that somebody else wrote. */

/** A token of a prompt; the first has no log-probability, for nothing comes before it. */
export type PromptToken = Pick<GeneratedToken, "id" | "logprob" | "top_logprobs">;

/** Tokens a call: their logits are [n * d_vocab], held at once and gone through on this thread. */
const CHUNK = 16;

/**
 * Reads a prompt under the hooks of the call.
 *
 * @param n_top most probable tokens to give beside each
 */
export async function promptLogprobs(call: Call, tokens: Int32Array, n_top: number): Promise<PromptToken[]> {
  const { model, read } = call;
  const { cache_salt, ...asked_by } = call.asked_by;
  const { d_vocab } = model.spec;
  const acts_on_last = read.hooks.some((hook) => "positions" in hook && hook.positions === "last");
  const size = acts_on_last ? tokens.length : CHUNK;
  const found: PromptToken[] = [{ id: tokens[0]! }];
  await using session = await model.session({ hooks: read.hooks, cache_salt });
  for (let start = 0; start < tokens.length; start += size) {
    const { logits } = await session.forward(tokens.subarray(start, start + size), {
      logits: "all",
      ...asked_by,
    });
    const n = Math.min(size, tokens.length - 1 - start);
    for (let i = 0; i < n; i++) {
      const row = logits.subarray(i * d_vocab, (i + 1) * d_vocab);
      found.push(scoreOf(row, tokens[start + i + 1]!, n_top));
    }
  }
  return found;
}

function scoreOf(logits: Float32Array, id: number, n_top: number): PromptToken {
  const most = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const log_sum = most + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - most), 0));
  const scored = { id, logprob: logits[id]! - log_sum };
  if (n_top === 0) return scored;
  const top: number[] = [];
  for (const [other, logit] of logits.entries()) {
    if (top.length === n_top && logit <= logits[lastOf(top)]!) continue;
    const at = top.findIndex((one) => logits[one]! < logit);
    top.splice(at < 0 ? top.length : at, 0, other);
    if (top.length > n_top) top.pop();
  }
  return { ...scored, top_logprobs: top.map((one) => ({ id: one, logprob: logits[one]! - log_sum })) };
}
