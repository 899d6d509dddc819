import { itemAt, lastOf } from "../../../models/certain.ts";
import type { Op, SampleParams, StepResult } from "../../../models/index.ts";
import type { StepRun } from "../run.ts";

/** Draws a token for each entry that asks for one, from its last row of logits. */
export function sample(run: StepRun, op: Extract<Op, { op: "sample" }>): void {
  for (const [g, logits] of run.buffers[op.in].entries()) {
    const { entry, index } = itemAt(run.gathered, g);
    const { sample: params, tokens } = entry.ask;
    if (params === null || index !== tokens.length - 1 || entry.result.non_finite !== null) continue;
    entry.result.token = drawToken(logits, params);
    if (params.top_logprobs >= 0) {
      entry.result.logprobs = reportLogprobs(logits, entry.result.token, params.top_logprobs);
    }
  }
}

/** The drawn id: the likeliest at temperature 0, else by the distribution that `params` shape. */
export function drawToken(logits: Float64Array, params: SampleParams): number {
  const scores = penalise(logits, params);
  if (params.temperature === 0) return itemAt(byScore(scores), 0);
  const { ids, probs } = distribution(scores, params);
  let left = uniform(params.seed, params.draw);
  for (const [i, p] of probs.entries()) {
    left -= p;
    if (left < 0) return itemAt(ids, i);
  }
  return lastOf(ids);
}

/** Repetition, frequency and presence penalties, then the bias: scores [d_vocab]. */
export function penalise(logits: Float64Array, params: SampleParams): Float64Array {
  const scores = Float64Array.from(logits);
  const history = params.history ?? new Int32Array(0);
  for (const id of new Set(history)) {
    const score = scores[id]!;
    scores[id] = score > 0 ? score / params.repetition_penalty : score * params.repetition_penalty;
  }
  const counts = new Map<number, number>();
  for (const id of history.subarray(params.n_prompt)) counts.set(id, (counts.get(id) ?? 0) + 1);
  for (const [id, count] of counts) {
    scores[id]! -= count * params.frequency_penalty + params.presence_penalty;
  }
  for (const { id, bias } of params.logit_bias) scores[id]! += bias;
  return scores;
}

/**
 * Temperature, top-k, top-p, min-p, in this order, each over what the one before it kept (as transformers'
 * warpers do): ids from the likeliest down, and their probabilities (sum 1).
 */
export function distribution(scores: Float64Array, params: SampleParams): { ids: number[]; probs: number[] } {
  let ids = byScore(scores);
  if (params.top_k > 0) ids = ids.slice(0, params.top_k);
  const top = scores[itemAt(ids, 0)]!;
  const weigh = (kept: readonly number[]) => {
    const weights = kept.map((id) => Math.exp((scores[id]! - top) / params.temperature));
    const sum = weights.reduce((a, b) => a + b, 0);
    return weights.map((w) => w / sum);
  };
  ids = ids.slice(0, nucleus(weigh(ids), params.top_p));
  const probs = weigh(ids);
  const least = params.min_p * itemAt(probs, 0);
  ids = ids.filter((_, i) => itemAt(probs, i) >= least);
  return { ids, probs: weigh(ids) };
}

/** How many of the likeliest it takes to reach top_p: at least one. */
function nucleus(probs: readonly number[], top_p: number): number {
  if (top_p >= 1) return probs.length;
  let sum = 0;
  for (const [i, p] of probs.entries()) {
    sum += p;
    if (sum >= top_p) return i + 1;
  }
  return probs.length;
}

/** Ids by falling score, the lower id first on a tie. */
function byScore(scores: Float64Array): number[] {
  return Array.from(scores.keys()).sort((a, b) => scores[b]! - scores[a]! || a - b);
}

/** Natural log-probabilities under the model's own distribution: no penalties, no temperature. */
function reportLogprobs(logits: Float64Array, token: number, n_top: number): StepResult["logprobs"] {
  const order = byScore(logits);
  const max = logits[itemAt(order, 0)]!;
  const norm = max + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - max), 0));
  const top = order.slice(0, n_top).map((id) => ({ id, logprob: logits[id]! - norm }));
  return { token: logits[token]! - norm, top };
}

/** A number in [0, 1) that depends on seed and draw alone: the finaliser of SplitMix64 over their sum. */
export function uniform(seed: readonly [number, number], draw: number): number {
  const golden = 0x9e3779b97f4a7c15n;
  const key = (BigInt(seed[1] >>> 0) << 32n) | BigInt(seed[0] >>> 0);
  let z = mix(key + golden);
  z = mix(z + golden * BigInt(draw + 1));
  return Number(z >> 11n) / 2 ** 53;
}

function mix(value: bigint): bigint {
  let z = BigInt.asUintN(64, value);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}
