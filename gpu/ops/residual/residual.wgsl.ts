/**
 * One workgroup a row: the row is looked up (EMBED) or added to, meets its sites, is kept, and is normed for the
 * matrix that comes next. So a hook costs no dispatch and the norm none either.
 */
export const RESIDUAL = /* wgsl */ `
struct Op {
  in_site: u32,
  n_sites: u32,
  site_0: u32,
  site_1: u32,
  norm_weight: u32,
  // EMBED: rows of this chunk of the matrix, and where its scales are.
  first_row: u32,
  n_rows: u32,
  scales_at: u32,
}
//: include step
@group(0) @binding(3) var<storage, read_write> h: array<f32>;
@group(0) @binding(4) var<storage, read_write> x: array<f32>;
@group(0) @binding(5) var<storage, read> vectors: array<f32>;
@group(0) @binding(6) var<storage, read> hooks: array<u32>;
@group(0) @binding(7) var<storage, read_write> results: array<u32>;
//: if EMBED
@group(0) @binding(8) var<storage, read> weights: array<u32>;
//: include matrix
var<workgroup> row_id: u32;
//: else
@group(0) @binding(8) var<storage, read> delta: array<f32>;
//: end
//: include hooks

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = group.x;
//: if EMBED
  // A token drawn by the step before is found where that step left it.
  if (thread == 0u) {
    let named = row_token(row);
    row_id = named;
    if (named >= 0x80000000u) { row_id = results[named & 0x7fffffffu]; }
  }
  let token = workgroupUniformLoad(&row_id);
  if (token < op.first_row || token >= op.first_row + op.n_rows) { return; }
  for (var e = 0u; e < E; e++) {
    let i = thread + WG * e;
    if (i < D_MODEL) { values[e] = weight_quad(token - op.first_row, i / 4u, op.scales_at)[i % 4u]; }
  }
//: else
  for (var e = 0u; e < E; e++) {
    let i = thread + WG * e;
    if (i < D_MODEL) { values[e] = delta[row * STRIDE + i]; }
  }
  meet_site(thread, row, op.in_site);
  for (var e = 0u; e < E; e++) {
    let i = thread + WG * e;
    if (i < D_MODEL) { values[e] += h[row * STRIDE + i]; }
  }
//: end
  if (op.n_sites > 0u) { meet_site(thread, row, op.site_0); }
  if (op.n_sites > 1u) { meet_site(thread, row, op.site_1); }
  flag_non_finite(row);
  for (var e = 0u; e < E; e++) {
    let i = thread + WG * e;
    if (i < D_MODEL) { h[row * STRIDE + i] = values[e]; }
  }
//: if NORM
  var squares = 0.0;
  for (var e = 0u; e < E; e++) {
    let i = thread + WG * e;
    if (i < D_MODEL) { squares += values[e] * values[e]; }
  }
  let factor = 1.0 / sqrt(workgroup_sum(thread, squares) / f32(D_MODEL) + EPS);
  for (var e = 0u; e < E; e++) {
    let i = thread + WG * e;
    if (i < D_MODEL) { x[row * STRIDE + i] = values[e] * factor * vectors[op.norm_weight + i]; }
    else if (i < STRIDE) { x[row * STRIDE + i] = 0.0; }
  }
//: end
}
`;
