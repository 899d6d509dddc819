/** What every kernel is bound to: this step's sizes and addresses, its own op's words, the packed batch (`batch.ts`). */
export const STEP = /* wgsl */ `
struct Step {
  n_rows: u32,
  n_gathered: u32,
  n_entries: u32,
  // Addresses of the batch's sections, in words.
  rows_at: u32,
  entries_at: u32,
  gathered_at: u32,
  tiles_at: u32,
  samples_at: u32,
  sums_at: u32,
  // Of the results: ids and shares of each row's experts.
  routes_at: u32,
  // Rows of ropes that go by the length of calls: (cos, sin) by row, table after table.
  ropes_at: u32,
}
const NONE: u32 = 0xffffffffu;

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<uniform> op: Op;
@group(0) @binding(2) var<storage, read> batch: array<u32>;

fn row_token(row: u32) -> u32 { return batch[step.rows_at + 4u * row]; }
fn row_position(row: u32) -> u32 { return batch[step.rows_at + 4u * row + 1u]; }
fn row_entry(row: u32) -> u32 { return step.entries_at + 8u * batch[step.rows_at + 4u * row + 2u]; }
fn row_ends_call(row: u32) -> bool { return batch[step.rows_at + 4u * row + 3u] != 0u; }

// An entry's words: first row, rows, hooks, block table, taps, projections, flag.
fn entry_first_row(entry: u32) -> u32 { return batch[entry]; }
fn entry_n_rows(entry: u32) -> u32 { return batch[entry + 1u]; }
fn entry_hooks(entry: u32) -> u32 { return batch[entry + 2u]; }
fn entry_blocks(entry: u32) -> u32 { return batch[entry + 3u]; }
fn entry_taps(entry: u32) -> u32 { return batch[entry + 4u]; }
fn entry_projections(entry: u32) -> u32 { return batch[entry + 5u]; }
fn entry_flag(entry: u32) -> u32 { return batch[entry + 6u]; }
`;
