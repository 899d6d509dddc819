/**
 * Few rows of input (decode): LANES threads walk one stream of R weight rows, 16 bytes of each at a time, against N
 * rows of input. Bound by the weights' bytes, which are read once.
 */
export const MATVEC = /* wgsl */ `
//: include step
@group(0) @binding(3) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;
@group(0) @binding(5) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read> vectors: array<f32>;
//: include activation
//: include unit
//: if SUBGROUPS
//: else
var<workgroup> pieces: array<f32, WG * R * N>;
//: end

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let lane = thread % LANES;
  let team = thread / LANES;
  let first = (group.x * TEAMS + team) * R;
  let first_input = group.y * N;
  let units = op.k / UNIT;
//: each r R
  let row_$r = min(first + $r, op.n_rows - 1u);
//: each n N
  var sum_$r_$n = 0.0;
//: end
//: end
//: each n N
  let input_$n = min(first_input + $n, n_inputs() - 1u) * (op.k / 4u);
//: end
  for (var u = lane; u < units; u += LANES) {
//: if DTYPE == q4
//: each n N
    var total_$n = vec4<f32>(0.0);
//: end
//: end
//: each r R
    let unit_$r = weights[row_$r * units + u];
//: each n N
    var part_$r_$n = 0.0;
//: end
//: end
//: each q QUADS
//: each n N
    let given_$q_$n = input[input_$n + u * QUADS + $q];
//: if DTYPE == q4
    total_$n += given_$q_$n;
//: end
//: end
//: each r R
    let weight_$q_$r = unit_quad(unit_$r, $q);
//: each n N
    part_$r_$n += dot(weight_$q_$r, given_$q_$n);
//: end
//: end
//: end
//: each r R
    let scale_$r = unit_scale(row_$r, u);
//: if DTYPE == q4
    let center_$r = unit_center(row_$r, u, scale_$r);
//: end
//: each n N
    sum_$r_$n += scale_$r * part_$r_$n;
//: if DTYPE == q4
    sum_$r_$n += center_$r * dot(total_$n, vec4<f32>(1.0));
//: end
//: end
//: end
  }
//: if SUBGROUPS
//: each r R
//: each n N
  sum_$r_$n = team_sum(sum_$r_$n);
//: end
//: end
  var sums: array<f32, R * N>;
//: each r R
//: each n N
  sums[$r * N + $n] = sum_$r_$n;
//: end
//: end
  if (lane == 0u) {
    for (var i = 0u; i < N * R; i += STRIDE_R) {
      let n = i / R;
      let r = i % R;
      write(first_input + n, first + r, sums[r * N + n], sums[(r + STRIDE_R - 1u) * N + n]);
    }
  }
//: else
//: each r R
//: each n N
  pieces[($r * N + $n) * WG + thread] = sum_$r_$n;
//: end
//: end
  workgroupBarrier();
  // A thread for each output of the workgroup.
  for (var i = thread; i < TEAMS * N * (R / STRIDE_R); i += WG) {
    let of_team = i / (N * (R / STRIDE_R));
    let n = i % N;
    let r = STRIDE_R * ((i / N) % (R / STRIDE_R));
    let sum = total(of_team, r, n);
    let second = total(of_team, r + STRIDE_R - 1u, n);
    write(first_input + n, (group.x * TEAMS + of_team) * R + r, sum, second);
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
