import { concatFloats } from "./arrays.ts";
import { itemAt, lastOf } from "./certain.ts";
import type { StepEntry, StepResult } from "./device.ts";

/**
 * Tokens [start, end) of an entry as an entry of its own. Parts that run in order, in whatever steps, give together
 * what the entry gives (`joinResults`).
 */
export function cutEntry(entry: StepEntry, start: number, end: number): StepEntry {
  const is_last = end === entry.tokens.length;
  return {
    ...entry,
    tokens: entry.tokens.subarray(start, end),
    position: entry.position + start,
    rope_lengths: entry.rope_lengths?.subarray(start, end) ?? null,
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

/** The result of an entry of `n_tokens` from its parts' results, in order. One part's own is given as it is. */
export function joinResults(parts: readonly StepResult[], n_tokens: number): StepResult {
  const last = lastOf(parts);
  if (parts.length === 1) return last;
  const logits = parts.flatMap((part) => (part.logits === null ? [] : [part.logits]));
  const n_words = parts.reduce((sum, { projections }) => sum + projections.length, 0);
  const n_projections = n_words / n_tokens;
  const rows = Array.from({ length: n_projections }, (_, row) =>
    parts.map(({ projections }) => {
      const n = projections.length / n_projections;
      return projections.subarray(row * n, (row + 1) * n);
    }),
  );
  return {
    ...last,
    non_finite: parts.find(({ non_finite }) => non_finite !== null)?.non_finite ?? null,
    logits: logits.length === 0 ? null : concatFloats(logits),
    captures: last.captures.map((_, i) => concatFloats(parts.map(({ captures }) => itemAt(captures, i)))),
    projections: concatFloats(rows.flat()),
  };
}
