/** The norm of a row in `values` (see `hooks`), in place: by weight and, unless NONE, bias in `vectors`. */
export const NORMALISE = /* wgsl */ `
fn normalise(thread: u32, weight: u32, bias: u32) {
  var mean = 0.0;
//: if LAYER_NORM
  var sum = 0.0;
  for (var e = 0u; e < E; e++) {
    if (thread + WG * e < op.d_model) { sum += values[e]; }
  }
  mean = workgroup_sum(thread, sum) / f32(op.d_model);
//: end
  var squares = 0.0;
  for (var e = 0u; e < E; e++) {
    if (thread + WG * e < op.d_model) { squares += (values[e] - mean) * (values[e] - mean); }
  }
  let factor = 1.0 / sqrt(workgroup_sum(thread, squares) / f32(op.d_model) + op.eps);
  for (var e = 0u; e < E; e++) {
    let i = thread + WG * e;
    if (i < op.d_model) {
      values[e] = (values[e] - mean) * factor * vectors[weight + i];
      if (bias != NONE) { values[e] += vectors[bias + i]; }
    }
  }
}
`;
