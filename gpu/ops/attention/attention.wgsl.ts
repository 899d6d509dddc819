import { TILE } from "../../layout/step.ts";

/**
 * One workgroup a tile: up to TILE rows of one sequence by PER_KV query heads of one kv head, M queries in all that
 * share every key and value read. It walks the past in chunks of WG positions with an online softmax: first a thread
 * is a position (scores), then a team of threads is a query (softmax), then a thread is a dimension (values, summed from
 * zero in each chunk: a long past is no long chain of sums).
 */
export const ATTENTION = /* wgsl */ `
//: include step
@group(0) @binding(3) var<storage, read> keys: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> kv_values: array<f32>;
// q before, and in its place what attention makes of it: a workgroup touches its own queries alone.
@group(0) @binding(5) var<storage, read_write> output: array<f32>;
${TILE.accessors({ name: "tile", array: "batch", base: "step.tiles_at" })}
//: include exp

const QUADS: u32 = (D_HEAD + 3u) / 4u;
// Threads of a query's team in the softmax.
const TEAM: u32 = WG / M_POWER;
// Groups of threads that share out the positions where values are summed.
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
  let first_row = tile_first_row(group.x);
  let n_rows = tile_n_rows(group.x);
  let kv_head = group.y;
  let part = group.z * PER_KV;
  let blocks = entry_blocks_at(row_entry(first_row));
  let first = row_position(first_row);
  let end = first + n_rows;

  for (var i = thread; i < M * QUADS; i += WG) {
    let m = i / QUADS;
    let row = m / PER_KV;
    let head = part + m % PER_KV;
    let d = 4u * (i % QUADS);
    var quad = vec4<f32>();
    if (row < n_rows && head < op.heads_per_kv) {
      let at = (first_row + row) * op.out_stride + (kv_head * op.heads_per_kv + head) * D_HEAD + d;
//: each c 4
      if (d + $c < D_HEAD) { quad[$c] = op.scale * output[at + $c]; }
//: end
    }
    queries[i] = quad;
  }
  if (thread < M) {
    highest[thread] = LOWEST;
    sums[thread] = 0.0;
  }
//: each m M
//: each j DEPTH
  var kept_$m_$j = 0.0;
//: end
//: end
  // Whole chunks before the first row's window are passed over.
  let start = select(0u, (first + 1u - op.window) / WG * WG, first + 1u > op.window);
  workgroupBarrier();
  for (var chunk = start; chunk < end; chunk += WG) {
    score_chunk(thread, chunk, first, end, blocks, kv_head);
    workgroupBarrier();
    softmax(thread);
//: each m M
//: each j DEPTH
    var part_$m_$j = 0.0;
//: end
//: end
    let held = min(WG, end - chunk);
    let lead = thread / D_HEAD;
    let d = thread % D_HEAD;
    if (lead < GROUPS) {
      for (var i = lead; i < held; i += GROUPS) {
        let p = chunk + i;
        let at = ((batch[blocks + p / BLOCK] * op.n_kv_heads + kv_head) * BLOCK + p % BLOCK) * D_HEAD + d;
//: each j DEPTH
//: if RAGGED
        let value_$j = select(0.0, kv_values[at + $j * WG], d + $j * WG < D_HEAD);
//: else
        let value_$j = kv_values[at + $j * WG];
//: end
//: end
//: each m M
//: each j DEPTH
        part_$m_$j += scores[$m * WG + i] * value_$j;
//: end
//: end
      }
    }
//: each m M
//: each j DEPTH
    kept_$m_$j = kept_$m_$j * shrink[$m] + part_$m_$j;
//: end
//: end
    workgroupBarrier();
  }
//: each m M
//: each j DEPTH
  pieces[thread] = kept_$m_$j;
  workgroupBarrier();
  write(thread, $m, $j * WG, first_row, n_rows, kv_head, part);
  workgroupBarrier();
//: end
//: end
  // The padding of the output's rows, by the tile's last workgroup.
  let width = op.n_kv_heads * op.heads_per_kv * D_HEAD;
  if (kv_head == op.n_kv_heads - 1u && group.z == 0u && op.out_stride > width) {
    let gap = op.out_stride - width;
    for (var i = thread; i < n_rows * gap; i += WG) {
      output[(first_row + i / gap) * op.out_stride + width + i % gap] = 0.0;
    }
  }
}

// Puts together what the groups of threads have of a query, dimensions first_d on.
fn write(thread: u32, m: u32, first_d: u32, first_row: u32, n_rows: u32, kv_head: u32, part: u32) {
  let row = m / PER_KV;
  let head = part + m % PER_KV;
  let d = first_d + thread;
  if (thread >= D_HEAD || d >= D_HEAD || row >= n_rows || head >= op.heads_per_kv) { return; }
  var sum = 0.0;
  for (var g = 0u; g < GROUPS; g++) { sum += pieces[thread + g * D_HEAD]; }
  output[(first_row + row) * op.out_stride + (kv_head * op.heads_per_kv + head) * D_HEAD + d] = sum / sums[m];
}

// Scores of the position chunk + thread, for every query.
fn score_chunk(thread: u32, chunk: u32, first: u32, end: u32, blocks: u32, kv_head: u32) {
  let p = chunk + thread;
//: each m M
  var found_$m = 0.0;
//: end
  if (p < end) {
    let at = (batch[blocks + p / BLOCK] * op.n_kv_heads + kv_head) * BLOCK * QUADS + p % BLOCK;
    for (var quad = 0u; quad < QUADS; quad++) {
      let key = keys[at + quad * BLOCK];
//: each m M
      found_$m += dot(queries[$m * QUADS + quad], key);
//: end
    }
  }
//: each m M
  scores[$m * WG + thread] = seen(p, first + $m / PER_KV, end, found_$m);
//: end
}

// A score as the query at a position sees it: capped, and none outside its window.
fn seen(p: u32, own: u32, end: u32, score: f32) -> f32 {
//: if SOFTCAPPED
  let capped = op.softcap * tanh_exact(score / op.softcap);
//: else
  let capped = score;
//: end
  return select(LOWEST, capped, p <= own && p < end && p + op.window > own);
}

// Scores become weights against the highest so far; what was kept before shrinks to match.
fn softmax(thread: u32) {
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
