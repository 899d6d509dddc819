/**
 * Many rows of input (prefill, large batches): tiles of 64 inputs by 64 weight rows, 32 deep, through workgroup
 * memory; each of 256 threads keeps 4 by 4 sums.
 */
export const MATMAT = /* wgsl */ `
struct Op {
  n_rows: u32,
  scales_at: u32,
  out_at: u32,
  bias: u32,
  n_out: u32,
  first_row: u32,
}
//: include step
@group(0) @binding(3) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;
@group(0) @binding(5) var<storage, read> weights: array<u32>;
@group(0) @binding(6) var<storage, read> vectors: array<f32>;
//: include matrix
//: if GATED
//: include activation
//: end

// [depth][row]: a thread reads four neighbours.
var<workgroup> input_tile: array<f32, 2048>;
var<workgroup> weight_tile: array<f32, 2048>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let first_row = group.x * 64u;
  let first_input = group.y * 64u;
  let last_input = select(step.n_rows, step.n_gathered, LOGITS) - 1u;
  let across = thread % 16u;
  let down = thread / 16u;
  var sums: array<vec4<f32>, 4>;
  for (var quad = 0u; quad < K / 4u; quad += 8u) {
    for (var i = thread; i < 512u; i += 256u) {
      let depth = 4u * (i % 8u);
      let row = i / 8u;
      let given = input[min(first_input + row, last_input) * (K / 4u) + quad + i % 8u];
      let weight = weight_quad(min(first_row + row, op.n_rows - 1u), quad + i % 8u, op.scales_at);
      for (var c = 0u; c < 4u; c++) {
        input_tile[(depth + c) * 64u + row] = given[c];
        weight_tile[(depth + c) * 64u + row] = weight[c];
      }
    }
    workgroupBarrier();
    for (var depth = 0u; depth < 32u; depth++) {
      let w = depth * 64u + 4u * across;
      let quad_weights = vec4<f32>(weight_tile[w], weight_tile[w + 1u], weight_tile[w + 2u], weight_tile[w + 3u]);
      for (var n = 0u; n < 4u; n++) { sums[n] += input_tile[depth * 64u + 4u * down + n] * quad_weights; }
    }
    workgroupBarrier();
  }
  for (var n = 0u; n < 4u; n++) {
    for (var r = 0u; r < 4u; r += STRIDE_R) {
      write(first_input + 4u * down + n, first_row + 4u * across + r, sums[n][r], sums[n][r + STRIDE_R - 1u]);
    }
  }
}
//: include matmul_write
`;
