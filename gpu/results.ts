import { entryOf, itemAt, present } from "../models/certain.ts";
import { NON_FINITE } from "../models/codes.ts";
import type { StepEntry, StepResult } from "../models/device.ts";
import type { SiteId } from "../models/hooks.ts";
import type { Program } from "../models/program.ts";
import type { PackOptions } from "./batch.ts";
import type { PackedViews } from "./layout/record.ts";
import { DRAWN, LIKELY, LOGPROBS, ROUTE, SAVED } from "./layout/results.ts";

/** Where an entry's results go: addresses of the results buffer, in u32s. */
interface EntryResults {
  flag_at: number;
  /** `DRAWN`; with log-probabilities `LOGPROBS` behind it, then `LIKELY` of each id that is wanted. */
  drawn_at: number;
  projections_at: number;
  n_projections: number;
  /** [n_tokens, d_model] of each site that is captured or accumulated. */
  taps: Map<SiteId, number>;
  /** `SAVED`, then a logit for each adjustment. */
  saved_at: number;
}

/** How a step uses the results buffer: what is read back is one range. */
export interface ResultsPlan {
  entries: EntryResults[];
  /** Flags, cleared before the step: one an entry. */
  flags_at: number;
  /** Of what is read back. */
  read_start: number;
  read_end: number;
  /** Each row's experts and their shares: `ROUTE`. */
  routes_at: number;
  end: number;
}

/** Slots of drawn tokens at the results' head: steps alternate between two halves. */
export const DRAWN_SLOTS = 2048;

export function planResults(
  batch: readonly StepEntry[],
  {
    program: { d_model },
    routes_per_row,
    hooks,
    accumulators,
  }: Pick<PackOptions, "program" | "routes_per_row" | "hooks" | "accumulators">,
): ResultsPlan {
  let end = 2 * DRAWN_SLOTS;
  const take = (count: number) => {
    end += count;
    return end - count;
  };
  const flags_at = take(batch.length);
  const entries = batch.map((entry, index): EntryResults => {
    const n_projections = entry.hooks === 0 ? 0 : present(hooks.get(entry.hooks), "hooks").n_projections;
    return {
      flag_at: flags_at + index,
      drawn_at: take(drawnSize(entry)),
      projections_at: take(n_projections * entry.tokens.length),
      n_projections,
      taps: new Map(),
      saved_at: 0,
    };
  });
  for (const [index, { captures, tokens }] of batch.entries()) {
    const { taps } = itemAt(entries, index);
    for (const site of captures) if (!taps.has(site)) taps.set(site, take(tokens.length * d_model));
  }
  const read_end = end;
  for (const [index, { accumulate, tokens, sample }] of batch.entries()) {
    const { taps } = itemAt(entries, index);
    for (const { id } of accumulate) {
      for (const site of present(accumulators.get(id), "an accumulator").sites)
        if (!taps.has(site)) taps.set(site, take(tokens.length * d_model));
    }
    if (sample === null) continue;
    const most_adjustments = (sample.history?.length ?? 0) + sample.logit_bias.length;
    itemAt(entries, index).saved_at = take(SAVED.stride + most_adjustments);
  }
  const n_rows = batch.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const routes_at = take(ROUTE.stride * routes_per_row * n_rows);
  return { entries, flags_at, read_start: flags_at, read_end, routes_at, end };
}

/** What an entry draws takes at most. */
function drawnSize({ sample }: StepEntry): number {
  if (sample === null) return 0;
  if (sample.top_logprobs < 0) return DRAWN.stride;
  return DRAWN.stride + LOGPROBS.stride + LIKELY.stride * sample.top_logprobs;
}

/** Results in the batch's order, from the bytes that were read back and the gathered rows' logits. */
export function readResults(
  batch: readonly StepEntry[],
  plan: ResultsPlan,
  bytes: ArrayBuffer,
  logits: readonly (Float32Array | null)[],
  { d_model, d_vocab }: Program,
): StepResult[] {
  const packed = { u32: new Uint32Array(bytes), f32: new Float32Array(bytes) };
  const offset = (address: number) => address - plan.read_start;
  return batch.map((entry, index) => {
    const { flag_at, drawn_at, projections_at, n_projections, taps } = itemAt(plan.entries, index);
    const flag = packed.u32[offset(flag_at)]!;
    const rows = logits[index] ?? null;
    const bad_logits = flag === NON_FINITE.logits || (rows !== null && !rows.every(Number.isFinite));
    const n = entry.tokens.length;
    const floats = (address: number, count: number) =>
      packed.f32.slice(offset(address), offset(address) + count);
    const { sample } = entry;
    return {
      non_finite: flag === NON_FINITE.residual ? "residual" : bad_logits ? "logits" : null,
      token: sample === null ? -1 : Math.min(d_vocab - 1, DRAWN.read(packed, offset(drawn_at)).token),
      logprobs: readLogprobs(entry, offset(drawn_at), packed, d_vocab),
      logits: rows,
      captures: entry.captures.map((site) => floats(entryOf(taps, site), n * d_model)),
      projections: floats(projections_at, n_projections * n),
    };
  });
}

function readLogprobs(
  { sample }: StepEntry,
  drawn_at: number,
  packed: PackedViews,
  d_vocab: number,
): StepResult["logprobs"] {
  if (sample === null || sample.top_logprobs < 0) return null;
  const at = drawn_at + DRAWN.stride;
  const { highest, sum, logit } = LOGPROBS.read(packed, at);
  const norm = highest + Math.log(sum);
  const top = Array.from({ length: Math.min(sample.top_logprobs, d_vocab) }, (_, i) => {
    const likely = LIKELY.read(packed, at + LOGPROBS.stride + LIKELY.stride * i);
    return { id: likely.id, logprob: likely.logit - norm };
  });
  return { token: logit - norm, top };
}
