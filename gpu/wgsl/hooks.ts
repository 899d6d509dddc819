import { HOOK } from "../layout/hooks.ts";

/**
 * What happens to a row at a site: its sequence's hooks in call order, then what is read of it. The row is in
 * `values`, E of them a thread (element `thread + WG * e`); `hooks` is the hook store (`layout/hooks.ts`), `results` the
 * step's results (`results.ts`). Includes `reduce`.
 */
export const HOOKS = /* wgsl */ `
//: include reduce
var<private> values: array<f32, E>;

${HOOK.accessors({ name: "hook", array: "hooks" })}

fn project_on(thread: u32, direction: u32) -> f32 {
  var sum = 0.0;
  for (var e = 0u; e < E; e++) {
    let i = thread + WG * e;
    if (i < op.d_model) { sum += values[e] * bitcast<f32>(hooks[direction + i]); }
  }
  return workgroup_sum(thread, sum);
}

fn add_scaled(thread: u32, vector: u32, factor: f32) {
  for (var e = 0u; e < E; e++) {
    let i = thread + WG * e;
    if (i < op.d_model) { values[e] += factor * bitcast<f32>(hooks[vector + i]); }
  }
}

fn apply_hook(thread: u32, row: u32, entry: u32, hook: u32) {
  let kind = hook_op(hook);
  if (hook_only_last(hook) && !row_ends_call(row)) { return; }
  let delta = hook_delta_at(hook);
  if (kind == HOOK_SHIFT) {
    add_scaled(thread, delta, 1.0);
    return;
  }
  let direction = hook_direction_at(hook);
  let p = project_on(thread, direction);
  if (kind == HOOK_CLAMP) {
    let bounded = clamp(p, hook_floor(hook), hook_ceiling(hook));
    if (bounded != p) { add_scaled(thread, direction, bounded - p); }
  } else if (kind == HOOK_REMOVE) {
    add_scaled(thread, direction, -p);
    if (delta != NONE) { add_scaled(thread, delta, 1.0); }
  } else if (thread == 0u) {
    let index = row - entry_first_row(entry);
    results[entry_projections_at(entry) + hook_output(hook) * entry_n_rows(entry) + index] = bitcast<u32>(p);
  }
}

// Applies the hooks of a site, then stores the row where it is captured or summed.
fn run_site(thread: u32, row: u32, site: u32) {
  let entry = row_entry(row);
  let own = entry_hooks_at(entry);
  if (own != NONE) {
    // The table of sites has where each site's hooks begin; the next site's are behind them.
    let end = hooks[own + site + 1u];
    for (var hook = hooks[own + site]; hook < end; hook += HOOK_STRIDE) { apply_hook(thread, row, entry, hook); }
  }
  let taps = entry_taps_at(entry);
  if (taps == NONE) { return; }
  let tap = batch[taps + site];
  if (tap == NONE) { return; }
  let at = tap + (row - entry_first_row(entry)) * op.d_model;
  for (var e = 0u; e < E; e++) {
    let i = thread + WG * e;
    if (i < op.d_model) { results[at + i] = bitcast<u32>(values[e]); }
  }
}

// NaN and infinity have all exponent bits set. Compilers may take for granted that floats are finite, bits not.
fn flag_non_finite(row: u32) {
  for (var e = 0u; e < E; e++) {
    if ((bitcast<u32>(values[e]) & 0x7f800000u) == 0x7f800000u) { results[entry_flag_at(row_entry(row))] = NON_FINITE_RESIDUAL; }
  }
}
`;
