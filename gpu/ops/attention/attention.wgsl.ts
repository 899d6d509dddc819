/**
 * One workgroup a tile: up to TILE rows of one sequence by PER_KV query heads of one kv head, M queries in all that
 * share every key and value read. It walks the past in chunks of WG positions with an online softmax: first a thread
 * is a position (scores), then a team of threads is a query (softmax), then a thread is a dimension (values).
 */
export const ATTENTION = /* wgsl */ `
struct Op { unused: u32 }
//: include step
@group(0) @binding(3) var<storage, read> qkv: array<f32>;
@group(0) @binding(4) var<storage, read> keys: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> kv_values: array<f32>;
@group(0) @binding(6) var<storage, read_write> output: array<f32>;
//: include exp

const M: u32 = TILE * PER_KV;
const QUADS: u32 = (D_HEAD + 3u) / 4u;
// Threads of a query's team in the softmax.
const TEAM: u32 = WG / M_POWER;
// Dimensions of a thread, and groups of threads that share out the positions, where values are summed.
const DEPTH: u32 = (D_HEAD + WG - 1u) / WG;
const GROUPS: u32 = max(1u, WG / D_HEAD);
const LOWEST: f32 = -3.0e38;

var<workgroup> queries: array<vec4<f32>, M * QUADS>;
var<workgroup> scores: array<f32, M * WG>;
var<workgroup> pieces: array<f32, WG>;
var<workgroup> highest: array<f32, M>;
var<workgroup> sums: array<f32, M>;
var<workgroup> shrink: array<f32, M>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let tile = step.tiles_at + 2u * group.x;
  let first_row = batch[tile];
  let n_rows = batch[tile + 1u];
  let kv_head = group.y;
  let part = group.z * PER_KV;
  let blocks = entry_blocks(row_entry(first_row));
  let first = row_position(first_row);
  let end = first + n_rows;

  for (var i = thread; i < M * QUADS; i += WG) {
    let m = i / QUADS;
    var quad = vec4<f32>();
    let row = m / PER_KV;
    let head = part + m % PER_KV;
    if (row < n_rows && head < HEADS_PER_KV) {
      let at = (first_row + row) * QKV_STRIDE + (kv_head * HEADS_PER_KV + head) * D_HEAD;
      for (var c = 0u; c < 4u; c++) {
        let d = 4u * (i % QUADS) + c;
        if (d < D_HEAD) { quad[c] = SCALE * qkv[at + d]; }
      }
    }
    queries[i] = quad;
  }
  if (thread < M) {
    highest[thread] = LOWEST;
    sums[thread] = 0.0;
  }
  var kept: array<array<f32, DEPTH>, M>;
  var start = 0u;
//: if WINDOWED
  if (first + 1u > WINDOW) { start = (first + 1u - WINDOW) / WG * WG; }
//: end
  workgroupBarrier();
  for (var chunk = start; chunk < end; chunk += WG) {
    score_chunk(thread, chunk, first, n_rows, end, blocks, kv_head);
    workgroupBarrier();
    soften(thread);
    let held = min(WG, end - chunk);
    for (var m = 0u; m < M; m++) {
      for (var j = 0u; j < DEPTH; j++) { kept[m][j] *= shrink[m]; }
    }
    let lead = thread / D_HEAD;
    if (lead < GROUPS) {
      for (var i = lead; i < held; i += GROUPS) {
        let p = chunk + i;
        let at = ((batch[blocks + p / BLOCK] * N_KV_HEADS + kv_head) * BLOCK + p % BLOCK) * D_HEAD;
        for (var j = 0u; j < DEPTH; j++) {
          let d = thread % D_HEAD + j * WG;
          if (d < D_HEAD) {
            let value = kv_values[at + d];
            for (var m = 0u; m < M; m++) { kept[m][j] += scores[m * WG + i] * value; }
          }
        }
      }
    }
    workgroupBarrier();
  }
  for (var m = 0u; m < M; m++) {
    let row = m / PER_KV;
    let head = part + m % PER_KV;
    for (var j = 0u; j < DEPTH; j++) {
      pieces[thread] = kept[m][j];
      workgroupBarrier();
      let d = thread + j * WG;
      if (thread < D_HEAD && d < D_HEAD && row < n_rows && head < HEADS_PER_KV) {
        var sum = 0.0;
        for (var g = 0u; g < GROUPS; g++) { sum += pieces[thread + g * D_HEAD]; }
        output[(first_row + row) * OUT_STRIDE + (kv_head * HEADS_PER_KV + head) * D_HEAD + d] = sum / sums[m];
      }
      workgroupBarrier();
    }
  }
  // The padding of the output's rows, by the tile's last workgroup.
  if (kv_head == N_KV_HEADS - 1u && group.z == 0u) {
    let width = N_KV_HEADS * HEADS_PER_KV * D_HEAD;
    for (var i = thread; i < n_rows * (OUT_STRIDE - width); i += WG) {
      output[(first_row + i / (OUT_STRIDE - width)) * OUT_STRIDE + width + i % (OUT_STRIDE - width)] = 0.0;
    }
  }
}

// Scores of the position chunk + thread, for every query.
fn score_chunk(thread: u32, chunk: u32, first: u32, n_rows: u32, end: u32, blocks: u32, kv_head: u32) {
  let p = chunk + thread;
  var found: array<f32, M>;
  if (p < end) {
    let at = (batch[blocks + p / BLOCK] * N_KV_HEADS + kv_head) * BLOCK * QUADS + p % BLOCK;
    for (var quad = 0u; quad < QUADS; quad++) {
      let key = keys[at + quad * BLOCK];
      for (var m = 0u; m < M; m++) { found[m] += dot(queries[m * QUADS + quad], key); }
    }
  }
  for (var m = 0u; m < M; m++) {
    let own = first + m / PER_KV;
    var seen = p <= own && p < end;
//: if WINDOWED
    seen = seen && p + WINDOW > own;
//: end
//: if SOFTCAPPED
    found[m] = SOFTCAP * tanh_exact(found[m] / SOFTCAP);
//: end
    scores[m * WG + thread] = select(LOWEST, found[m], seen);
  }
}

// Scores become weights against the highest so far; what was kept before shrinks to match.
fn soften(thread: u32) {
  let m = thread / TEAM;
  let lane = thread % TEAM;
  var top = LOWEST;
  if (m < M) {
    for (var i = lane; i < WG; i += TEAM) { top = max(top, scores[m * WG + i]); }
  }
  pieces[thread] = top;
  workgroupBarrier();
  var sum = 0.0;
  if (m < M) {
    top = highest[m];
    for (var i = 0u; i < TEAM; i++) { top = max(top, pieces[m * TEAM + i]); }
    for (var i = lane; i < WG; i += TEAM) {
      let score = scores[m * WG + i];
      var weight = 0.0;
      if (score > LOWEST) { weight = exp_exact(score - top); }
      scores[m * WG + i] = weight;
      sum += weight;
    }
  }
  workgroupBarrier();
  pieces[thread] = sum;
  workgroupBarrier();
  if (m < M && lane == 0u) {
    let factor = exp_exact(highest[m] - top);
    var total = sums[m] * factor;
    for (var i = 0u; i < TEAM; i++) { total += pieces[m * TEAM + i]; }
    highest[m] = top;
    sums[m] = total;
    shrink[m] = factor;
  }
  workgroupBarrier();
}
`;
