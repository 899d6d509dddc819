import { record } from "./record.ts";

/** A step's uniform record, at the head of its packed buffer. Addresses of sections count u32s of the batch. */
export const STEP = record({
  n_rows: "u32",
  /** Rows whose logits are wanted. */
  n_gathered: "u32",
  n_entries: "u32",
  rows_at: "u32",
  entries_at: "u32",
  /** Of the gathered rows' numbers, one u32 each. */
  gathered_at: "u32",
  tiles_at: "u32",
  samples_at: "u32",
  sums_at: "u32",
  /** In the results: TOP_K routes of each row. */
  routes_at: "u32",
  /** Rotations of ropes that go by the length of calls: by row, table after table. */
  rotations_at: "u32",
});

/** A row of the step: one token of one entry. */
export const ROW = record({
  /** Its id, or `FOLLOWS` and the slot of the results that holds the id which the step before drew. */
  token: "u32",
  position: "u32",
  /** Index of its entry. */
  entry: "u32",
  /** Whether it is the last position of the caller's forward call. */
  ends_call: "bool",
});

/** Bit of a row's token that names a slot of drawn tokens. */
export const FOLLOWS = 0x8000_0000;

/** One sequence's part of the step. */
export const ENTRY = record({
  first_row: "u32",
  n_rows: "u32",
  /** Its hook set, in the hook store. */
  hooks_at: "u32?",
  /** Its block table: slots of the cache, one u32 each. */
  blocks_at: "u32",
  /** By site, where in the results h is stored: one `u32?` each. Null where no site is captured or summed. */
  taps_at: "u32?",
  /** In the results: [n_projections, n_rows]. */
  projections_at: "u32",
  /** In the results: its `NON_FINITE` code. */
  flag_at: "u32",
});

/** Rows of one entry that a workgroup of attention takes at once. */
export const TILE = record({ first_row: "u32", n_rows: "u32" });

/** One site of one accumulator, and the spans of tapped rows that are added to it. */
export const SUM = record({
  /** In the accumulators. */
  at: "u32",
  spans_at: "u32",
  n_spans: "u32",
});

/** Rows that are added to a sum: [n_rows, d_model] of the results. */
export const SPAN = record({ rows_at: "u32", n_rows: "u32" });

/** The rotation of a pair of dimensions. */
export const ROTATION = record({ cos: "f32", sin: "f32" });
