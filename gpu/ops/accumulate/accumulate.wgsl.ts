/**
 * Running sums of what residual ops tapped: a thread is one element of one site of one accumulator and adds its rows
 * in order, so that a sum does not depend on timing.
 */
export const ACCUMULATE = /* wgsl */ `
struct Op { d_model: u32 }
//: include step
@group(0) @binding(3) var<storage, read> results: array<f32>;
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let i = group.x * 64u + thread;
  if (i >= op.d_model) { return; }
  // An item's words: where its sum lies, its spans, how many; a span's: first row in results, rows.
  let item = step.sums_at + 3u * group.y;
  var sum = 0.0;
  for (var span = 0u; span < batch[item + 2u]; span++) {
    let at = batch[item + 1u] + 2u * span;
    for (var row = 0u; row < batch[at + 1u]; row++) { sum += results[batch[at] + row * op.d_model + i]; }
  }
  sums[batch[item] + i] += sum;
}
`;
