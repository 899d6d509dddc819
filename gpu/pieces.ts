import { concatFloats } from "../models/arrays.ts";
import type { StepEntry, StepResult } from "../models/device.ts";
import type { Accumulators } from "./accumulators.ts";
import { wantedRows } from "./batch.ts";

/** What one pass over the program may hold on an adapter. */
export interface PieceLimits {
  rows: number;
  gathered: number;
  /** Words of results: captures and what is accumulated. */
  result_words: number;
  d_model: number;
}

/** Entries, or parts of entries, that run together; `places` are their numbers in the caller's batch. */
export interface Piece {
  entries: StepEntry[];
  places: number[];
}

/**
 * Cuts a batch so that each piece fits the adapter's bindings. An entry may be cut between tokens: its later tokens
 * then run in a later piece, in order. With usual limits there is one piece.
 */
export function cutBatch(
  batch: readonly StepEntry[],
  limits: PieceLimits,
  accumulators: Accumulators,
): Piece[] {
  const pieces: Piece[] = [];
  let piece: Piece = { entries: [], places: [] };
  let used = { rows: 0, gathered: 0, words: 0 };
  for (const [place, entry] of batch.entries()) {
    const per_row = rowWords(entry, limits.d_model, accumulators);
    const gathers = entry.logits === "all" ? 1 : 0;
    for (let start = 0; start < entry.tokens.length; ) {
      const room = Math.min(
        limits.rows - used.rows,
        limits.gathered - used.gathered,
        per_row === 0 ? Number.POSITIVE_INFINITY : Math.floor((limits.result_words - used.words) / per_row),
      );
      if (room < 1 && piece.entries.length > 0) {
        pieces.push(piece);
        piece = { entries: [], places: [] };
        used = { rows: 0, gathered: 0, words: 0 };
        continue;
      }
      const count = Math.min(entry.tokens.length - start, Math.max(1, room));
      const part = partOf(entry, start, start + count);
      piece.entries.push(part);
      piece.places.push(place);
      used.rows += count;
      used.gathered += gathers === 1 ? count : wantedRows(part);
      used.words += count * per_row;
      start += count;
    }
  }
  if (piece.entries.length > 0) pieces.push(piece);
  return pieces;
}

function rowWords({ captures, accumulate }: StepEntry, d_model: number, accumulators: Accumulators): number {
  const sites = new Set([...captures, ...accumulate.flatMap(({ id }) => accumulators.get(id)!.sites)]);
  return sites.size * d_model;
}

function partOf(entry: StepEntry, start: number, end: number): StepEntry {
  const { tokens } = entry;
  if (start === 0 && end === tokens.length) return entry;
  const is_last = end === tokens.length;
  return {
    ...entry,
    tokens: tokens.subarray(start, end),
    position: entry.position + start,
    ends_call: is_last && entry.ends_call,
    sample: is_last ? entry.sample : null,
    logits: entry.logits === "last" && !is_last ? "none" : entry.logits,
    accumulate: entry.accumulate
      .map((span) => ({
        id: span.id,
        start: Math.max(0, span.start - start),
        end: Math.min(end, span.end) - start,
      }))
      .filter((span) => span.start < span.end),
  };
}

/** Puts the results of pieces together again, in the order of the caller's batch. */
export function joinResults(
  batch: readonly StepEntry[],
  pieces: readonly Piece[],
  results: readonly StepResult[][],
): StepResult[] {
  const parts: StepResult[][] = batch.map(() => []);
  for (const [i, { places }] of pieces.entries()) {
    for (const [j, place] of places.entries()) parts[place]!.push(results[i]![j]!);
  }
  return parts.map((found, place) => (found.length === 1 ? found[0]! : joined(batch[place]!, found)));
}

function joined({ tokens, captures, logits }: StepEntry, parts: readonly StepResult[]): StepResult {
  const last = parts.at(-1)!;
  const n_projections =
    last.projections.length === 0
      ? 0
      : parts.reduce((sum, { projections }) => sum + projections.length, 0) / tokens.length;
  const projections = Array.from({ length: n_projections }, (_, row) =>
    parts.map(({ projections }) => {
      const n = projections.length / n_projections;
      return projections.subarray(row * n, (row + 1) * n);
    }),
  );
  return {
    ...last,
    non_finite: parts.find(({ non_finite }) => non_finite !== null)?.non_finite ?? null,
    logits: logits === "all" ? concatFloats(parts.map((part) => part.logits!)) : last.logits,
    captures: captures.map((_, i) => concatFloats(parts.map((part) => part.captures[i]!))),
    projections: concatFloats(projections.flat()),
  };
}
