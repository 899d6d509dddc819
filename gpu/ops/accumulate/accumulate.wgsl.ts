import { SPAN, SUM } from "../../layout/step.ts";

/**
 * Running sums of what residual ops tapped: a thread is one element of one site of one accumulator and adds its rows
 * in order, so that a sum does not depend on timing.
 */
export const ACCUMULATE = /* wgsl */ `
//: include step
@group(0) @binding(3) var<storage, read> results: array<f32>;
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;
${SUM.accessors({ name: "sum", array: "batch", base: "step.sums_at" })}
${SPAN.accessors({ name: "span", array: "batch" })}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let i = group.x * 64u + thread;
  if (i >= op.d_model) { return; }
  var sum = 0.0;
  for (var n = 0u; n < sum_n_spans(group.y); n++) {
    let span = sum_spans_at(group.y) + SPAN_STRIDE * n;
    for (var row = 0u; row < span_n_rows(span); row++) { sum += results[span_rows_at(span) + row * op.d_model + i]; }
  }
  sums[sum_at(group.y) + i] += sum;
}
`;
