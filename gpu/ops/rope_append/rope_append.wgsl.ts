import { ROTATION } from "../../layout/step.ts";

/**
 * One workgroup a head of a row: q and k are normed and rotated; q goes where attention reads it, k and v to the paged
 * cache. Keys are stored by quads of their dimensions, [block][kv head][d_head / 4][position][4], so that neighbouring
 * threads of `attention`, one a position, read neighbouring floats; values are [block][kv head][position][d_head].
 */
export const ROPE_APPEND = /* wgsl */ `
//: include step
@group(0) @binding(3) var<storage, read> qkv: array<f32>;
@group(0) @binding(4) var<storage, read_write> queries: array<f32>;
@group(0) @binding(5) var<storage, read_write> keys: array<f32>;
@group(0) @binding(6) var<storage, read_write> kv_values: array<f32>;
@group(0) @binding(7) var<storage, read> vectors: array<f32>;
@group(0) @binding(8) var<storage, read> rope: array<Rotation>;
${ROTATION.struct("Rotation")}
${ROTATION.accessors({ name: "rotation", array: "batch", base: "step.rotations_at" })}
//: include reduce

var<workgroup> head: array<f32, D_HEAD>;
const PADDED: u32 = 4u * ((D_HEAD + 3u) / 4u);

// The norm of [start, start + width) of qkv, for this head, whose first value is at 'at'.
fn norm_head(thread: u32, start: u32, width: u32, at: u32, weight: u32, bias: u32) {
  var mean = 0.0;
//: if LAYER_NORM
  var sum = 0.0;
  for (var i = thread; i < width; i += WG) { sum += qkv[start + i]; }
  mean = workgroup_sum(thread, sum) / f32(width);
//: end
  var squares = 0.0;
  for (var i = thread; i < width; i += WG) {
    let off = qkv[start + i] - mean;
    squares += off * off;
  }
  let factor = 1.0 / sqrt(workgroup_sum(thread, squares) / f32(width) + op.eps);
  for (var i = thread; i < D_HEAD; i += WG) {
    head[i] = (qkv[at + i] - mean) * factor * vectors[weight + i];
    if (bias != NONE) { head[i] += vectors[bias + i]; }
  }
  workgroupBarrier();
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = group.y;
  let at = row * op.qkv_stride + group.x * D_HEAD;
  let is_query = group.x < op.n_heads;
  let is_value = group.x >= op.n_heads + op.n_kv_heads;
  for (var i = thread; i < D_HEAD; i += WG) { head[i] = qkv[at + i]; }
  workgroupBarrier();
//: if NORM == none
//: else
  if (!is_value) {
    let own = select(group.x - op.n_heads, group.x, is_query);
    let weight = select(op.k_norm_at, op.q_norm_at, is_query);
//: if NORM == head
    norm_head(thread, at, D_HEAD, at, weight + select(0u, own * D_HEAD, HEAD_WEIGHTS), NONE);
//: else
    let start = row * op.qkv_stride + select(op.n_heads * D_HEAD, 0u, is_query);
    let width = select(op.n_kv_heads, op.n_heads, is_query) * D_HEAD;
    let bias = select(op.k_bias_at, op.q_bias_at, is_query);
    norm_head(thread, start, width, at, weight + own * D_HEAD, select(bias + own * D_HEAD, NONE, bias == NONE));
//: end
  }
//: end
  let position = row_position(row);
//: if ROPE
  if (!is_value) {
    for (var j = thread; j < op.half; j += WG) {
//: if BY_LENGTH
      let index = op.first_rotation * step.n_rows + row * op.half + j;
      let rotation = Rotation(rotation_cos(index), rotation_sin(index));
//: else
      let rotation = rope[position * op.half + j];
//: end
//: if INTERLEAVED
      let first = 2u * j;
      let second = first + 1u;
//: else
      let first = j;
      let second = j + op.half;
//: end
      let a = head[first];
      let b = head[second];
      head[first] = a * rotation.cos - b * rotation.sin;
      head[second] = b * rotation.cos + a * rotation.sin;
    }
    workgroupBarrier();
  }
//: end
  if (is_query) {
    var factor = 1.0;
//: if Q_SCALE
    let passed = position / op.q_every;
    // WGSL's log may be off by 2^-21 near 1.
    if (passed > 0u) { factor += op.q_beta * log(1.0 + f32(passed)); }
//: end
    for (var i = thread; i < D_HEAD; i += WG) { queries[row * op.out_stride + group.x * D_HEAD + i] = factor * head[i]; }
    return;
  }
  let block = batch[entry_blocks_at(row_entry(row)) + position / BLOCK];
  let slot = position % BLOCK;
  if (is_value) {
    let to = ((block * op.n_kv_heads + group.x - op.n_heads - op.n_kv_heads) * BLOCK + slot) * D_HEAD;
    for (var i = thread; i < D_HEAD; i += WG) { kv_values[to + i] = head[i]; }
  } else {
    let to = (block * op.n_kv_heads + group.x - op.n_heads) * BLOCK * PADDED;
    for (var i = thread; i < PADDED; i += WG) {
      var value = 0.0;
      if (i < D_HEAD) { value = head[min(i, D_HEAD - 1u)]; }
      keys[to + (i / 4u * BLOCK + slot) * 4u + i % 4u] = value;
    }
  }
}
`;
