/** One workgroup a gathered row: its residual stream, normed for the logits. */
export const NORM = /* wgsl */ `
struct Op { weight: u32 }
//: include step
@group(0) @binding(3) var<storage, read> h: array<f32>;
@group(0) @binding(4) var<storage, read_write> x: array<f32>;
@group(0) @binding(5) var<storage, read> vectors: array<f32>;
//: include reduce

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let read_at = batch[step.gathered_at + group.x] * STRIDE;
  let write_at = group.x * STRIDE;
  var squares = 0.0;
  for (var i = thread; i < D_MODEL; i += WG) { squares += h[read_at + i] * h[read_at + i]; }
  let factor = 1.0 / sqrt(workgroup_sum(thread, squares) / f32(D_MODEL) + EPS);
  for (var i = thread; i < D_MODEL; i += WG) { x[write_at + i] = h[read_at + i] * factor * vectors[op.weight + i]; }
  for (var i = D_MODEL + thread; i < STRIDE; i += WG) { x[write_at + i] = 0.0; }
}
`;
