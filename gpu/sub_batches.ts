import { itemAt, present } from "../models/certain.ts";
import type { StepEntry, StepResult } from "../models/device.ts";
import { cutEntry, joinResults } from "../models/entry_parts.ts";
import type { Accumulators } from "./accumulators.ts";
import { wantedRows } from "./batch.ts";

/** What one pass over the program may hold on an adapter. */
export interface SubBatchLimits {
  rows: number;
  gathered: number;
  /** U32s of results: captures and what is accumulated. */
  results: number;
  d_model: number;
}

/** Entries, or parts of entries, that run together; `places` are their numbers in the caller's batch. */
export interface SubBatch {
  entries: StepEntry[];
  places: number[];
}

/**
 * Cuts a batch so that each sub-batch fits the adapter's bindings. An entry may be cut between tokens: its later tokens
 * then run in a later sub-batch, in order. With usual limits there is one sub-batch.
 */
export function cutBatch(
  batch: readonly StepEntry[],
  limits: SubBatchLimits,
  accumulators: Accumulators,
): SubBatch[] {
  const sub_batches: SubBatch[] = [];
  let sub_batch: SubBatch = { entries: [], places: [] };
  let used = { rows: 0, gathered: 0, results: 0 };
  for (const [place, entry] of batch.entries()) {
    const per_row = tappedWidth(entry, limits.d_model, accumulators);
    const gathers = entry.logits === "all" ? 1 : 0;
    for (let start = 0; start < entry.tokens.length; ) {
      const fit = Math.min(
        limits.rows - used.rows,
        limits.gathered - used.gathered,
        per_row === 0 ? Number.POSITIVE_INFINITY : Math.floor((limits.results - used.results) / per_row),
      );
      if (fit < 1 && sub_batch.entries.length > 0) {
        sub_batches.push(sub_batch);
        sub_batch = { entries: [], places: [] };
        used = { rows: 0, gathered: 0, results: 0 };
        continue;
      }
      const count = Math.min(entry.tokens.length - start, Math.max(1, fit));
      const is_whole = count === entry.tokens.length;
      const part = is_whole ? entry : cutEntry(entry, start, start + count);
      sub_batch.entries.push(part);
      sub_batch.places.push(place);
      used.rows += count;
      used.gathered += gathers === 1 ? count : wantedRows(part);
      used.results += count * per_row;
      start += count;
    }
  }
  if (sub_batch.entries.length > 0) sub_batches.push(sub_batch);
  return sub_batches;
}

function tappedWidth(
  { captures, accumulate }: StepEntry,
  d_model: number,
  accumulators: Accumulators,
): number {
  const sites = new Set([
    ...captures,
    ...accumulate.flatMap(({ id }) => present(accumulators.get(id), "an accumulator").sites),
  ]);
  return sites.size * d_model;
}

/** Puts the results of sub-batches together again, in the order of the caller's batch. */
export function joinSubBatches(
  batch: readonly StepEntry[],
  sub_batches: readonly SubBatch[],
  results: readonly StepResult[][],
): StepResult[] {
  const parts: StepResult[][] = batch.map(() => []);
  for (const [i, { places }] of sub_batches.entries()) {
    for (const [j, place] of places.entries()) itemAt(parts, place).push(itemAt(itemAt(results, i), j));
  }
  return parts.map((found, place) => joinResults(found, itemAt(batch, place).tokens.length));
}
