/**
 * Few rows of input (decode): LANES threads walk one stream of R weight rows, 16 bytes of each at a time, against N
 * rows of input. Bound by the weights' bytes, which are read once.
 */
export const MATVEC = /* wgsl */ `
struct Op {
  n_rows: u32,
  scales_at: u32,
  // Where this chunk's outputs begin in a row, in outputs.
  out_at: u32,
  bias: u32,
  // Outputs of this chunk, padding included.
  n_out: u32,
  first_row: u32,
}
//: include step
@group(0) @binding(3) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;
@group(0) @binding(5) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read> vectors: array<f32>;
//: if GATED
//: include activation
//: end

const UNITS: u32 = K / UNIT;
const TEAMS: u32 = WG / LANES;
const QUADS: u32 = UNIT / 4u;

// Four weights of a unit of 16 bytes.
fn unit_quad(unit: vec4<u32>, quad: u32) -> vec4<f32> {
//: if DTYPE == f32
  return bitcast<vec4<f32>>(unit);
//: end
//: if DTYPE == f16
  return vec4<f32>(unpack2x16float(unit[2u * quad]), unpack2x16float(unit[2u * quad + 1u]));
//: end
//: if DTYPE == bf16
  let a = unit[2u * quad];
  let b = unit[2u * quad + 1u];
  return bitcast<vec4<f32>>(vec4<u32>(a << 16u, a & 0xffff0000u, b << 16u, b & 0xffff0000u));
//: end
//: if DTYPE == q8
  return vec4<f32>(unpack4xI8(unit[quad]));
//: end
//: if DTYPE == q4
  return vec4<f32>(unpack4xU8((unit[quad / 2u] >> (4u * (quad % 2u))) & 0x0f0f0f0fu)) - 8.0;
//: end
}
//: if QUANTISED
fn unit_scale(row: u32, unit: u32) -> f32 {
  let block = unit * UNIT / 32u;
  let word = op.scales_at + row * (K / 64u) + block / 2u;
  let pair = unpack2x16float(weights[word / 4u][word % 4u]);
  return select(pair.x, pair.y, (block & 1u) == 1u);
}
//: end

//: if SUBGROUPS
fn team_sum(value: f32) -> f32 {
  var sum = value;
  for (var mask = LANES / 2u; mask > 0u; mask = mask / 2u) { sum += subgroupShuffleXor(sum, mask); }
  return sum;
}
//: else
var<workgroup> pieces: array<f32, WG * R * N>;
//: end

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let lane = thread % LANES;
  let team = thread / LANES;
  let first = (group.x * TEAMS + team) * R;
  let last_input = select(step.n_rows, step.n_gathered, LOGITS) - 1u;
  var sums: array<array<f32, N>, R>;
  for (var u = lane; u < UNITS; u += LANES) {
    // Set to zero in words: some compilers do it once a function, not once a turn of the loop.
    var units = array<vec4<u32>, R>();
    var part = array<array<f32, N>, R>();
    for (var r = 0u; r < R; r++) { units[r] = weights[min(first + r, op.n_rows - 1u) * UNITS + u]; }
    for (var quad = 0u; quad < QUADS; quad++) {
      var given = array<vec4<f32>, N>();
      for (var n = 0u; n < N; n++) {
        given[n] = input[min(group.y * N + n, last_input) * (K / 4u) + u * QUADS + quad];
      }
      for (var r = 0u; r < R; r++) {
        let quad_weights = unit_quad(units[r], quad);
        for (var n = 0u; n < N; n++) { part[r][n] += dot(quad_weights, given[n]); }
      }
    }
    for (var r = 0u; r < R; r++) {
//: if QUANTISED
      let scale = unit_scale(min(first + r, op.n_rows - 1u), u);
//: else
      let scale = 1.0;
//: end
      for (var n = 0u; n < N; n++) { sums[r][n] += scale * part[r][n]; }
    }
  }
  for (var r = 0u; r < R; r++) {
    for (var n = 0u; n < N; n++) {
//: if SUBGROUPS
      sums[r][n] = team_sum(sums[r][n]);
//: else
      pieces[(r * N + n) * WG + thread] = sums[r][n];
//: end
    }
  }
//: if SUBGROUPS
  if (lane == 0u) {
    for (var n = 0u; n < N; n++) {
      for (var r = 0u; r < R; r += STRIDE_R) { write(group.y * N + n, first + r, sums[r][n], sums[r + STRIDE_R - 1u][n]); }
    }
  }
//: else
  workgroupBarrier();
  // A thread for each output: R / STRIDE_R rows of N inputs a team.
  for (var i = thread; i < TEAMS * N * (R / STRIDE_R); i += WG) {
    let of_team = i / (N * (R / STRIDE_R));
    let n = i % N;
    let r = STRIDE_R * ((i / N) % (R / STRIDE_R));
    write(group.y * N + n, (group.x * TEAMS + of_team) * R + r, total(of_team, r, n), total(of_team, r + STRIDE_R - 1u, n));
  }
//: end
}
//: if SUBGROUPS
//: else
fn total(team: u32, r: u32, n: u32) -> f32 {
  var sum = 0.0;
  for (var lane = 0u; lane < LANES; lane++) { sum += pieces[(r * N + n) * WG + team * LANES + lane]; }
  return sum;
}
//: end
//: include matmul_write
`;
