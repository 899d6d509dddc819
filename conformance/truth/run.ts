import {
  type AccumulatorId,
  type BufferName,
  type DeviceHook,
  type Program,
  projectionCount,
  type RopeSpec,
  type SiteId,
  type StepEntry,
  type StepResult,
} from "../../models/index.ts";
import type { Cache } from "./cache.ts";
import type { Weight } from "./weights.ts";

/** One token of a step. */
export interface Row {
  entry: EntryRun;
  /** Index into the entry's tokens. */
  index: number;
  token: number;
  position: number;
  /** Of the forward call that feeds it; null where no rope depends on it. */
  rope_length: number | null;
  /** The last position of the caller's forward call: where hooks with positions "last" act. */
  ends_call: boolean;
}

/** An entry while its step runs: what it asked for and what it has so far. */
export interface EntryRun {
  ask: StepEntry;
  hooks: readonly DeviceHook[];
  result: StepResult;
}

/** A running sum of h at each of `sites`, [n_sites, d_model]. */
export interface Accumulator {
  sites: readonly SiteId[];
  sum: Float64Array;
  count: number;
}

/** What the ops of a step work on. */
export interface StepRun {
  program: Program;
  weights: readonly Weight[];
  ropes: readonly RopeSpec[];
  cache: Cache;
  accumulators: ReadonlyMap<AccumulatorId, Accumulator>;
  entries: readonly EntryRun[];
  /** Tokens of all entries, one after the other. */
  rows: readonly Row[];
  /** Set by `gather`: the rows whose logits are wanted. */
  gathered: Row[];
  /** Each a list of rows [width]; empty until an op writes it. */
  buffers: Record<BufferName, Float64Array[]>;
}

/** A step before its first op. */
export function beginRun(
  on: Pick<StepRun, "program" | "weights" | "ropes" | "cache" | "accumulators">,
  asks: readonly Pick<EntryRun, "ask" | "hooks">[],
): StepRun {
  const entries = asks.map(({ ask, hooks }): EntryRun => {
    return { ask, hooks, result: emptyResult(on.program, ask, hooks) };
  });
  const of_tokens = { h: [], x: [], qkv: [], attn: [], gate_up: [], act: [], routes: [], delta: [] };
  const buffers = { ...of_tokens, last: [], logits: [] };
  return { ...on, entries, rows: entries.flatMap(entryRows), gathered: [], buffers };
}

function entryRows(entry: EntryRun): Row[] {
  const { tokens, position, ends_call, rope_lengths } = entry.ask;
  return Array.from(tokens, (token, index) => ({
    entry,
    index,
    token,
    position: position + index,
    rope_length: rope_lengths?.[index] ?? null,
    ends_call: ends_call && index === tokens.length - 1,
  }));
}

function emptyResult(program: Program, ask: StepEntry, hooks: readonly DeviceHook[]): StepResult {
  const n_tokens = ask.tokens.length;
  const n_projections = projectionCount(hooks);
  const n_logits = { none: 0, last: 1, all: n_tokens }[ask.logits];
  return {
    non_finite: null,
    token: -1,
    logprobs: null,
    logits: n_logits === 0 ? null : new Float32Array(n_logits * program.d_vocab),
    captures: ask.captures.map(() => new Float32Array(n_tokens * program.d_model)),
    projections: new Float32Array(n_projections * n_tokens),
  };
}

/** The largest float32: beyond it a device in f32 has infinity, and so the truth calls it not finite too. */
const MAX_F32 = 3.4028234663852886e38;

export function isFinite32(values: Float64Array): boolean {
  return values.every((x) => Math.abs(x) <= MAX_F32);
}
