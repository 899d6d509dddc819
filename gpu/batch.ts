import { entryOf, itemAt, present } from "../models/certain.ts";
import type { SampleParams, StepEntry } from "../models/device.ts";
import { SITE_KINDS } from "../models/hooks.ts";
import type { Program } from "../models/program.ts";
import { ropeRowsByLength } from "../models/rope.ts";
import type { RopeSpec } from "../models/spec.ts";
import type { Accumulators } from "./accumulators.ts";
import { rotationsOf } from "./buffers.ts";
import type { Cache } from "./cache.ts";
import type { HookStore } from "./hooks.ts";
import { Packed } from "./layout/packed.ts";
import { nearestF32, type Values } from "./layout/record.ts";
import { ADJUSTMENT, SAMPLE, withNumbers } from "./layout/sample.ts";
import { ENTRY, FOLLOWS, ROW, SPAN, STEP, SUM, TILE } from "./layout/step.ts";
import { uniform } from "./random.ts";
import { planResults, type ResultsPlan } from "./results.ts";

/** A step's packed buffer as `wgsl/step.ts` reads it, and the sizes that dispatches go by. */
export interface PackedBatch {
  /** The uniform record, then the batch. */
  bytes: Uint8Array<ArrayBuffer>;
  results: ResultsPlan;
  n_rows: number;
  /** Rows whose logits are wanted. */
  n_gathered: number;
  /** First gathered row of each entry and how many. */
  gathered: { start: number; count: number }[];
  n_tiles: number;
  n_samples: number;
  n_sums: number;
}

export interface PackOptions {
  program: Program;
  /** Experts that a row is sent to; 0 without any. */
  routes_per_row: number;
  cache: Pick<Cache, "slot">;
  hooks: Pick<HookStore, "get">;
  accumulators: Pick<Accumulators, "get">;
  /** Ropes that depend on the length of calls. */
  ropes_by_length: readonly RopeSpec[];
  /** Rows of a sequence that a workgroup of attention takes at once. */
  tile: number;
  /** First slot of the results for tokens that are drawn, and of those that the step before drew; by place in the batch. */
  drawn_to: number;
  drawn_from: number;
  /** Each entry's place in the batch that the caller gave (of which this may be a sub-batch). */
  places: readonly number[];
}

/**
 * Packs a batch into one buffer. Nothing else changes.
 *
 * @throws CapstanError `bad_request` for a number that its field does not hold
 */
export function packBatch(batch: readonly StepEntry[], options: PackOptions): PackedBatch {
  const results = planResults(batch, options);
  const packed = new Packed();
  const n_rows = batch.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const rows_at = packed.records(ROW, n_rows);
  const entries_at = packed.records(ENTRY, batch.length);
  let row = 0;
  const gathered: { start: number; count: number }[] = [];
  const gathered_rows: number[] = [];
  const tiles: Values<typeof TILE.fields>[] = [];
  for (const [index, entry] of batch.entries()) {
    const n = entry.tokens.length;
    writeRows(packed, rows_at + ROW.stride * row, entry, index, options);
    const values = entryValues(packed, entry, row, itemAt(results.entries, index), options);
    ENTRY.write(packed, entries_at + ENTRY.stride * index, values);
    for (let first = 0; first < n; first += options.tile)
      tiles.push({ first_row: row + first, n_rows: Math.min(options.tile, n - first) });
    const count = wantedRows(entry);
    gathered.push({ start: gathered_rows.length, count });
    for (let i = n - count; i < n; i++) gathered_rows.push(row + i);
    row += n;
  }
  const gathered_at = packed.u32s(gathered_rows);
  const tiles_at = packed.list(TILE, tiles);
  const samples = batch.flatMap((entry, index) => {
    if (entry.sample === null) return [];
    const { start, count } = itemAt(gathered, index);
    return [sampleValues(packed, entry.sample, entry, start + count - 1, index, results, options)];
  });
  const samples_at = packed.list(SAMPLE, samples);
  const sums = packSums(packed, batch, results, options);
  const rotations_at = packRotations(packed, batch, options);
  const bytes = packed.bytes(STEP, {
    n_rows,
    n_gathered: gathered_rows.length,
    n_entries: batch.length,
    rows_at,
    entries_at,
    gathered_at,
    tiles_at,
    samples_at,
    sums_at: sums.at,
    routes_at: results.routes_at,
    rotations_at,
  });
  return {
    bytes,
    results,
    n_rows,
    n_gathered: gathered_rows.length,
    gathered,
    n_tiles: tiles.length,
    n_samples: samples.length,
    n_sums: sums.count,
  };
}

/** Rows of an entry whose logits are wanted: all, the last, or none. */
export function wantedRows({ logits, sample, tokens }: StepEntry): number {
  if (logits === "all") return tokens.length;
  return logits === "last" || sample !== null ? 1 : 0;
}

function writeRows(
  packed: Packed,
  at: number,
  { tokens, position, ends_call, follows }: StepEntry,
  entry: number,
  { drawn_from }: PackOptions,
): void {
  const last = tokens.length - 1;
  for (const [i, id] of tokens.entries()) {
    ROW.write(packed, at + ROW.stride * i, {
      token: follows === null ? id : FOLLOWS + drawn_from + follows,
      position: position + i,
      entry,
      ends_call: ends_call && i === last,
    });
  }
}

function entryValues(
  packed: Packed,
  entry: StepEntry,
  first_row: number,
  { taps, projections_at, flag_at }: ResultsPlan["entries"][number],
  { program, cache, hooks }: PackOptions,
): Values<typeof ENTRY.fields> {
  const set = entry.hooks === 0 ? undefined : hooks.get(entry.hooks);
  const blocks_at = packed.u32s(entry.blocks.map((id) => cache.slot(id)));
  const n_sites = program.n_layers * SITE_KINDS.length;
  const taps_at = taps.size === 0 ? null : packed.sparse(n_sites, taps);
  const n_rows = entry.tokens.length;
  return { first_row, n_rows, hooks_at: set?.at ?? null, blocks_at, taps_at, projections_at, flag_at };
}

function sampleValues(
  packed: Packed,
  sample: SampleParams,
  entry: StepEntry,
  row: number,
  index: number,
  results: ResultsPlan,
  { drawn_to, drawn_from, places }: PackOptions,
): Values<typeof SAMPLE.fields> {
  const { drawn_at, saved_at, flag_at } = itemAt(results.entries, index);
  const penalises = changesLogits(sample);
  const adjusted = penalises || sample.logit_bias.length > 0 ? adjustments(sample) : [];
  const { temperature, top_logprobs, seed, draw } = sample;
  const others = {
    row,
    slot: drawn_to + itemAt(places, index),
    inverse_temperature: temperature === 0 ? 0 : nearestF32(1 / temperature),
    random: uniform(seed, draw),
    n_top: top_logprobs < 0 ? null : top_logprobs,
    adjustments_at: packed.list(ADJUSTMENT, adjusted),
    n_adjustments: adjusted.length,
    followed_slot: penalises && entry.follows !== null ? drawn_from + entry.follows : null,
    drawn_at,
    flag_at,
    saved_at,
  };
  return withNumbers(others, sample);
}

function changesLogits(sample: SampleParams): boolean {
  return sample.repetition_penalty !== 1 || sample.frequency_penalty !== 0 || sample.presence_penalty !== 0;
}

/** Ids whose logits penalties or biases may change, once each. */
function adjustments(sample: SampleParams): Values<typeof ADJUSTMENT.fields>[] {
  const found = new Map<number, { id: number; appeared: boolean; count: number; bias: number }>();
  const of = (id: number) => {
    const adjustment = found.get(id) ?? { id, appeared: false, count: 0, bias: 0 };
    found.set(id, adjustment);
    return adjustment;
  };
  for (const [index, id] of (sample.history ?? []).entries()) {
    const adjustment = of(id);
    adjustment.appeared = true;
    if (index >= sample.n_prompt) adjustment.count++;
  }
  for (const { id, bias } of sample.logit_bias) {
    const adjustment = of(id);
    adjustment.bias = nearestF32(adjustment.bias + bias);
  }
  return [...found.values()];
}

/** Sums by accumulator and site, each with the spans of rows that go into it. */
function packSums(
  packed: Packed,
  batch: readonly StepEntry[],
  results: ResultsPlan,
  { program: { d_model }, accumulators }: PackOptions,
): { at: number; count: number } {
  const sums = new Map<number, Values<typeof SPAN.fields>[]>();
  for (const [index, { accumulate }] of batch.entries()) {
    for (const { id, start, end } of accumulate) {
      const { sites, at } = present(accumulators.get(id), "an accumulator");
      for (const [i, site] of sites.entries()) {
        const sum_at = at + i * d_model;
        const spans = sums.get(sum_at) ?? [];
        sums.set(sum_at, spans);
        const tap = entryOf(itemAt(results.entries, index).taps, site);
        if (start < end) spans.push({ rows_at: tap + start * d_model, n_rows: end - start });
      }
    }
  }
  const values = Array.from(sums, ([at, spans]) => ({
    at,
    spans_at: packed.list(SPAN, spans),
    n_spans: spans.length,
  }));
  return { at: packed.list(SUM, values), count: values.length };
}

/** Rotations of the ropes that go by length, a table of all rows after the other. */
function packRotations(
  packed: Packed,
  batch: readonly StepEntry[],
  { ropes_by_length }: PackOptions,
): number {
  const at = packed.length;
  for (const rope of ropes_by_length) {
    for (const { position, rope_lengths } of batch)
      packed.f32s(rotationsOf(ropeRowsByLength(rope, position, present(rope_lengths, "the calls' lengths"))));
  }
  return at;
}
