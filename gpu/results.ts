import type { StepEntry, StepResult } from "../models/device.ts";
import type { SiteId } from "../models/hooks.ts";
import type { Program } from "../models/program.ts";
import type { Accumulators } from "./accumulators.ts";
import type { HookStore } from "./hooks.ts";

/** Where an entry's results go, in words of the results buffer. */
interface EntryResults {
  flag: number;
  /** The drawn token; with log-probabilities: highest logit, sum of exponentials, the token's logit, likeliest. */
  out: number;
  projections: number;
  n_projections: number;
  /** [n_tokens, d_model] of each site that is captured or accumulated. */
  taps: Map<SiteId, number>;
  /** Room for logits that penalties change for a while. */
  saved: number;
}

/** How a step uses the results buffer: what is read back lies together. */
export interface ResultsPlan {
  entries: EntryResults[];
  /** Flags, cleared before the step: one a entry. */
  flags_at: number;
  /** Words [read_start, read_end) are read back. */
  read_start: number;
  read_end: number;
  /** Each row's experts and their shares. */
  routes_at: number;
  end: number;
}

/** Slots of drawn tokens at the results' head: steps alternate between two halves. */
export const DRAWN_SLOTS = 2048;

export function planResults(
  batch: readonly StepEntry[],
  {
    program: { d_model, buffers },
    hooks,
    accumulators,
  }: { program: Program; hooks: HookStore; accumulators: Accumulators },
): ResultsPlan {
  let end = 2 * DRAWN_SLOTS;
  const take = (count: number) => {
    end += count;
    return end - count;
  };
  const flags_at = take(batch.length);
  const entries = batch.map((entry, index): EntryResults => {
    const n_projections = entry.hooks === 0 ? 0 : hooks.get(entry.hooks)!.n_projections;
    return {
      flag: flags_at + index,
      out: take(outWords(entry)),
      projections: take(n_projections * entry.tokens.length),
      n_projections,
      taps: new Map(),
      saved: 0,
    };
  });
  for (const [index, { captures, tokens }] of batch.entries()) {
    const { taps } = entries[index]!;
    for (const site of captures) if (!taps.has(site)) taps.set(site, take(tokens.length * d_model));
  }
  const read_end = end;
  for (const [index, { accumulate, tokens, sample }] of batch.entries()) {
    const { taps } = entries[index]!;
    for (const { id } of accumulate) {
      for (const site of accumulators.get(id)!.sites)
        if (!taps.has(site)) taps.set(site, take(tokens.length * d_model));
    }
    if (sample !== null)
      entries[index]!.saved = take((sample.history?.length ?? 0) + sample.logit_bias.length + 2);
  }
  const routes_at = take(buffers.routes * batch.reduce((sum, { tokens }) => sum + tokens.length, 0));
  return { entries, flags_at, read_start: flags_at, read_end, routes_at, end };
}

/** Words of the results that an entry takes, taps left out, at most. */
function outWords({ sample }: StepEntry): number {
  if (sample === null) return 0;
  return sample.top_logprobs < 0 ? 1 : 4 + 2 * sample.top_logprobs;
}

/** Results in the batch's order, from the words that were read back and the gathered rows' logits. */
export function readResults(
  batch: readonly StepEntry[],
  plan: ResultsPlan,
  words: ArrayBuffer,
  logits: readonly (Float32Array | null)[],
  { d_model, d_vocab }: Program,
): StepResult[] {
  const whole = new Uint32Array(words);
  const floats = new Float32Array(words);
  return batch.map((entry, index) => {
    const at = plan.entries[index]!;
    const offset = (word: number) => word - plan.read_start;
    const flag = whole[offset(at.flag)]!;
    const rows = logits[index] ?? null;
    const bad_logits = rows !== null && !rows.every(Number.isFinite);
    const non_finite = flag === 1 ? "residual" : flag === 2 || bad_logits ? "logits" : null;
    const n = entry.tokens.length;
    return {
      non_finite,
      token: entry.sample === null ? -1 : Math.min(d_vocab - 1, whole[offset(at.out)]!),
      logprobs: readLogprobs(entry, offset(at.out), whole, floats, d_vocab),
      logits: rows,
      captures: entry.captures.map((site) => {
        const start = offset(at.taps.get(site)!);
        return floats.slice(start, start + n * d_model);
      }),
      projections: floats.slice(offset(at.projections), offset(at.projections) + at.n_projections * n),
    };
  });
}

function readLogprobs(
  { sample }: StepEntry,
  at: number,
  whole: Uint32Array,
  floats: Float32Array,
  d_vocab: number,
): StepResult["logprobs"] {
  if (sample === null || sample.top_logprobs < 0) return null;
  const norm = floats[at + 1]! + Math.log(floats[at + 2]!);
  const n_top = Math.min(sample.top_logprobs, d_vocab);
  return {
    token: floats[at + 3]! - norm,
    top: Array.from({ length: n_top }, (_, i) => ({
      id: whole[at + 4 + 2 * i]!,
      logprob: floats[at + 5 + 2 * i]! - norm,
    })),
  };
}
