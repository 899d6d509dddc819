/**
 * One workgroup a head of a row: q and k are normed and turned, q stays where it is, k and v go to the paged cache.
 * Keys lie by quads of their dimensions, [block][kv head][d_head / 4][position][4], so that neighbouring threads of
 * `attention`, one a position, read neighbouring words; values lie [block][kv head][position][d_head].
 */
export const ROPE_APPEND = /* wgsl */ `
struct Op {
  q_norm: u32,
  k_norm: u32,
}
//: include step
@group(0) @binding(3) var<storage, read_write> qkv: array<f32>;
@group(0) @binding(4) var<storage, read_write> keys: array<f32>;
@group(0) @binding(5) var<storage, read_write> kv_values: array<f32>;
@group(0) @binding(6) var<storage, read> vectors: array<f32>;
@group(0) @binding(7) var<storage, read> rope: array<vec2<f32>>;
//: include reduce

var<workgroup> head: array<f32, D_HEAD>;
const PADDED: u32 = 4u * ((D_HEAD + 3u) / 4u);

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = group.y;
  let at = row * QKV_STRIDE + group.x * D_HEAD;
  let is_query = group.x < N_HEADS;
  let is_value = group.x >= N_HEADS + N_KV_HEADS;
  for (var i = thread; i < D_HEAD; i += WG) { head[i] = qkv[at + i]; }
  workgroupBarrier();
//: if QK_NORM
  if (!is_value) {
    var squares = 0.0;
    for (var i = thread; i < D_HEAD; i += WG) { squares += head[i] * head[i]; }
    let factor = 1.0 / sqrt(workgroup_sum(thread, squares) / f32(D_HEAD) + EPS);
    let weight = select(op.k_norm, op.q_norm, is_query);
    for (var i = thread; i < D_HEAD; i += WG) { head[i] *= factor * vectors[weight + i]; }
    workgroupBarrier();
  }
//: end
  let position = row_position(row);
//: if ROPE
  if (!is_value) {
    for (var j = thread; j < HALF; j += WG) {
      let turn = rope[position * HALF + j];
      let a = head[j];
      let b = head[j + HALF];
      head[j] = a * turn.x - b * turn.y;
      head[j + HALF] = b * turn.x + a * turn.y;
    }
    workgroupBarrier();
  }
//: end
  if (is_query) {
    for (var i = thread; i < D_HEAD; i += WG) { qkv[at + i] = head[i]; }
    return;
  }
  let block = batch[entry_blocks(row_entry(row)) + position / BLOCK];
  let slot = position % BLOCK;
  if (is_value) {
    let to = ((block * N_KV_HEADS + group.x - N_HEADS - N_KV_HEADS) * BLOCK + slot) * D_HEAD;
    for (var i = thread; i < D_HEAD; i += WG) { kv_values[to + i] = head[i]; }
  } else {
    let to = (block * N_KV_HEADS + group.x - N_HEADS) * BLOCK * PADDED;
    for (var i = thread; i < PADDED; i += WG) {
      var value = 0.0;
      if (i < D_HEAD) { value = head[min(i, D_HEAD - 1u)]; }
      keys[to + (i / 4u * BLOCK + slot) * 4u + i % 4u] = value;
    }
  }
}
`;
