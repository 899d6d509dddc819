/** One workgroup a row, or a gathered row: its residual stream, normed. */
export const NORM = /* wgsl */ `
//: include step
@group(0) @binding(3) var<storage, read> h: array<f32>;
@group(0) @binding(4) var<storage, read_write> x: array<f32>;
@group(0) @binding(5) var<storage, read> vectors: array<f32>;
//: include reduce
var<private> values: array<f32, E>;
//: include normalise

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
//: if GATHERED
  let row = batch[step.gathered_at + group.x];
//: else
  let row = group.x;
//: end
  for (var e = 0u; e < E; e++) {
    let i = thread + WG * e;
    if (i < op.d_model) { values[e] = h[row * op.stride + i]; }
  }
  normalise(thread, op.weight_at, op.bias_at);
  for (var e = 0u; e < E; e++) {
    let i = thread + WG * e;
    if (i < op.stride) { x[group.x * op.stride + i] = select(0.0, values[e], i < op.d_model); }
  }
}
`;
