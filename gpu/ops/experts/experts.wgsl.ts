import { ROUTE } from "../../layout/results.ts";

/**
 * The chosen experts of a row. First activation(gate) * up of each, [row, k] after [row, k]; then (DOWN) their sum by
 * shares. Teams stream weight rows as `matvec` does; experts of other chunks are passed over.
 */
export const EXPERTS = /* wgsl */ `
//: include step
@group(0) @binding(3) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;
@group(0) @binding(5) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read> results: array<u32>;
${ROUTE.accessors({ name: "route", array: "results", base: "step.routes_at" })}
//: include activation
//: include unit

const PER_ROW: u32 = select(1u, TOP_K, DOWN);
var<workgroup> pieces: array<f32, WG * R>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let lane = thread % LANES;
  let team = thread / LANES;
  let first = (group.x * TEAMS + team) * R;
  let row = group.y * PER_ROW / TOP_K;
  let units = op.k / UNIT;
//: each r R
  let row_$r = min(first + $r, op.rows - 1u);
  var sum_$r = 0.0;
//: end
  for (var n = 0u; n < PER_ROW; n++) {
    let k = (group.y * PER_ROW + n) % TOP_K;
    let expert = route_expert(TOP_K * row + k) - op.first_expert;
    if (expert >= op.n_experts) { continue; }
//: if DOWN
    let share = route_share(TOP_K * row + k);
    let read_at = (row * TOP_K + k) * (op.k / 4u);
//: else
    let share = 1.0;
    let read_at = row * (op.k / 4u);
//: end
    for (var u = lane; u < units; u += LANES) {
//: each q QUADS
      let given_$q = input[read_at + u * QUADS + $q];
//: end
//: if DTYPE == q4
      var totals = vec4<f32>(0.0);
//: each q QUADS
      totals += given_$q;
//: end
      let given_total = share * dot(totals, vec4<f32>(1.0));
//: end
//: each r R
      let weight_row_$r = expert * op.rows + row_$r;
      let unit_$r = weights[weight_row_$r * units + u];
      var part_$r = 0.0;
//: each q QUADS
      part_$r += dot(unit_quad(unit_$r, $q), given_$q);
//: end
      let scale_$r = unit_scale(weight_row_$r, u);
      sum_$r += share * scale_$r * part_$r;
//: if DTYPE == q4
      sum_$r += unit_center(weight_row_$r, u, scale_$r) * given_total;
//: end
//: end
    }
  }
//: each r R
  pieces[$r * WG + thread] = sum_$r;
//: end
  workgroupBarrier();
//: if DOWN
  for (var i = thread; i < TEAMS * R; i += WG) {
    let out = (group.x * TEAMS + i / R) * R + i % R;
    let at = row * op.out_stride + out;
    if (out < op.out_stride) {
      let sum = select(0.0, total(i / R, i % R), out < op.rows);
      output[at] = select(output[at] + sum, sum, op.first_expert == 0u);
    }
  }
//: else
  // Rows are pairs (gate, up). Nothing is written for an expert of another chunk.
  if (route_expert(group.y) - op.first_expert < op.n_experts) {
    for (var i = thread; i < TEAMS * (R / 2u); i += WG) {
      let of_team = i / (R / 2u);
      let r = 2u * (i % (R / 2u));
      let out = ((group.x * TEAMS + of_team) * R + r) / 2u;
      if (out < op.out_stride) {
        let value = activate(total(of_team, r)) * total(of_team, r + 1u);
        output[group.y * op.out_stride + out] = select(0.0, value, out < op.rows / 2u);
      }
    }
  }
//: end
}

fn total(team: u32, r: u32) -> f32 {
  var sum = 0.0;
  for (var lane = 0u; lane < LANES; lane++) { sum += pieces[r * WG + team * LANES + lane]; }
  return sum;
}
`;
