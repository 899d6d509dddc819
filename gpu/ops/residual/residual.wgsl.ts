/**
 * One workgroup a row: the row is looked up (EMBED) or added to, passes its sites, is stored, and is normed for the
 * matrix that comes next, whose experts it chooses where it has any. So a hook costs no dispatch and the norms none
 * either. NORM says which row the norm is of: the new one (after), or, for parallel blocks, the old one (before).
 */
export const RESIDUAL = /* wgsl */ `
//: include step
@group(0) @binding(3) var<storage, read_write> h: array<f32>;
@group(0) @binding(4) var<storage, read_write> x: array<f32>;
@group(0) @binding(5) var<storage, read> vectors: array<f32>;
@group(0) @binding(6) var<storage, read> hooks: array<u32>;
@group(0) @binding(7) var<storage, read_write> results: array<u32>;
//: if EMBED
@group(0) @binding(8) var<storage, read> weights: array<u32>;
//: if POSITIONS
@group(0) @binding(9) var<storage, read> positions: array<u32>;
//: end
//: include matrix
var<workgroup> row_id: u32;
//: else
@group(0) @binding(8) var<storage, read> delta: array<f32>;
//: end
//: include hooks
//: include normalise
//: if ROUTER
//: include exp
//: include router
//: end

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = group.x;
//: if EMBED
  // A token drawn by the step before is in a slot of the results.
  if (thread == 0u) {
    let named = row_token(row);
    row_id = named;
    if (named >= FOLLOWS) { row_id = results[named - FOLLOWS]; }
  }
  let token = workgroupUniformLoad(&row_id);
  if (token < op.first_row || token >= op.first_row + op.n_rows) { return; }
  for (var e = 0u; e < E; e++) {
    let i = thread + WG * e;
    if (i < op.d_model) {
      values[e] = op.scale * weight_quad(token - op.first_row, i / 4u, op.scales_at)[i % 4u];
//: if POSITIONS
      values[e] += bitcast<f32>(positions[row_position(row) * op.stride + i]);
//: end
    }
  }
//: else
//: if NORM == before
  for (var e = 0u; e < E; e++) {
    let i = thread + WG * e;
    if (i < op.d_model) { values[e] = h[row * op.stride + i]; }
  }
  normalise(thread, op.norm_weight_at, op.norm_bias_at);
  store_normed(thread, row);
//: end
  for (var e = 0u; e < E; e++) {
    let i = thread + WG * e;
    if (i < op.d_model) { values[e] = delta[row * op.stride + i]; }
  }
//: if PRE_NORM
  normalise(thread, op.pre_weight_at, op.pre_bias_at);
//: end
  for (var e = 0u; e < E; e++) { values[e] *= op.scale; }
//: end
  for (var n = 0u; n < 3u; n++) {
//: if EMBED
//: else
    if (n == 1u) {
      for (var e = 0u; e < E; e++) {
        let i = thread + WG * e;
        if (i < op.d_model) { values[e] += h[row * op.stride + i]; }
      }
    }
//: end
    if (op.sites[n] != NONE) { run_site(thread, row, op.sites[n]); }
  }
  flag_non_finite(row);
  for (var e = 0u; e < E; e++) {
    let i = thread + WG * e;
    if (i < op.d_model) { h[row * op.stride + i] = values[e]; }
  }
//: if NORM == after
  normalise(thread, op.norm_weight_at, op.norm_bias_at);
  store_normed(thread, row);
//: if ROUTER
  route(thread, row);
//: end
//: end
}

fn store_normed(thread: u32, row: u32) {
  for (var e = 0u; e < E; e++) {
    let i = thread + WG * e;
    if (i < op.stride) { x[row * op.stride + i] = select(0.0, values[e], i < op.d_model); }
  }
}
`;
