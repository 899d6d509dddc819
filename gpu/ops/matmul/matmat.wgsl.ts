/**
 * Many rows of input (prefill, large batches): tiles of 64 inputs by 64 weight rows, 16 deep, through workgroup
 * memory (more of it takes software adapters seconds to compile). 64 of 256 threads bring the inputs, 64 the weights,
 * each a block of 4 by 4 that it transposes on the way; then each thread keeps 4 by 4 sums: of a block of products from
 * zero, and of blocks. A long sum is no long chain.
 */
export const MATMAT = /* wgsl */ `
//: include step
@group(0) @binding(3) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;
@group(0) @binding(5) var<storage, read> weights: array<u32>;
@group(0) @binding(6) var<storage, read> vectors: array<f32>;
//: include matrix
//: include activation

// What a tile keeps of four weights: halves where they are halves already, at half the memory.
//: if F16
alias Weights4 = vec4<f16>;
//: else
alias Weights4 = vec4<f32>;
//: end
// [depth][row / 4], four rows a vector.
var<workgroup> input_tile: array<vec4<f32>, 256>;
var<workgroup> weight_tile: array<Weights4, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let first_row = group.x * 64u;
  let first_input = group.y * 64u;
  let across = thread % 16u;
  let down = thread / 16u;
  let block_quad = thread % 4u;
  let block_row = (thread % 64u) / 4u;
//: each n 4
  var sum_$n = vec4<f32>();
  var part_$n = vec4<f32>();
  let weight_row_$n = min(first_row + 4u * block_row + $n, op.n_rows - 1u);
  let input_row_$n = min(first_input + 4u * block_row + $n, n_inputs() - 1u) * (op.k / 4u);
//: end
  // Always 16, but not to compilers: some would write the whole loop out.
  let deep = min(16u, op.k);
  // Quads of a block: about the root of k products, of which 64 cost 2 % of additions more.
  let block = select(select(16u, 8u, op.k < 2048u), 4u, op.k < 512u);
  for (var quad = 0u; quad < op.k / 4u; quad += 4u) {
    let at = 64u * block_quad + block_row;
    if (thread < 64u) {
//: each n 4
      let given_$n = input[input_row_$n + quad + block_quad];
//: end
//: each c 4
      input_tile[at + 16u * $c] = vec4<f32>(given_0[$c], given_1[$c], given_2[$c], given_3[$c]);
//: end
    } else if (thread < 128u) {
//: each n 4
      let weight_$n = weight_quad(weight_row_$n, quad + block_quad, op.scales_at);
//: end
//: each c 4
      weight_tile[at + 16u * $c] = Weights4(vec4<f32>(weight_0[$c], weight_1[$c], weight_2[$c], weight_3[$c]));
//: end
    }
    workgroupBarrier();
    for (var depth = 0u; depth < deep; depth += 4u) {
//: each d 4
      let given_$d = input_tile[16u * (depth + $d) + down];
      let weight_$d = vec4<f32>(weight_tile[16u * (depth + $d) + across]);
//: each n 4
      part_$n += given_$d[$n] * weight_$d;
//: end
//: end
    }
    if (quad % block == block - 4u) {
//: each n 4
      sum_$n += part_$n;
      part_$n = vec4<f32>();
//: end
    }
    workgroupBarrier();
  }
  // One place that writes: what it does is long, and some compilers put it in wherever it is called.
  var sums = array<vec4<f32>, 4>(sum_0 + part_0, sum_1 + part_1, sum_2 + part_2, sum_3 + part_3);
  for (var n = 0u; n < 4u; n++) {
    for (var r = 0u; r < 4u; r += STRIDE_R) {
      write(first_input + 4u * down + n, first_row + 4u * across + r, sums[n][r], sums[n][r + STRIDE_R - 1u]);
    }
  }
}
//: include matmul_write
`;
