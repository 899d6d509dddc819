import type {
  AccumulatorId,
  BufferName,
  DeviceHook,
  Program,
  RopeSpec,
  SiteId,
  StepEntry,
  StepResult,
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
export interface Run {
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

/** The largest float32: beyond it a device in f32 has infinity, and so the truth calls it not finite too. */
const MAX_F32 = 3.4028234663852886e38;

export function isFinite32(values: Float64Array): boolean {
  return values.every((x) => Math.abs(x) <= MAX_F32);
}
