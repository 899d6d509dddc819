/** Weights by units of 16 bytes, for kernels that stream them: `weights` is bound as array<vec4<u32>>. */
export const UNIT = /* wgsl */ `
const TEAMS: u32 = WG / LANES;

// Four weights of a unit.
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

fn unit_scale(row: u32, unit: u32) -> f32 {
//: if QUANTISED
  let block = unit * UNIT / 32u;
  let at = op.scales_at + row * (op.k / 64u) + block / 2u;
  let pair = unpack2x16float(weights[at / 4u][at % 4u]);
  return select(pair.x, pair.y, (block & 1u) == 1u) * SCALE_UNIT;
//: else
  return 1.0;
//: end
}
const SCALE_UNIT: f32 = 1.0 / 256.0;

//: if SUBGROUPS
fn team_sum(value: f32) -> f32 {
  var sum = value;
  for (var mask = LANES / 2u; mask > 0u; mask = mask / 2u) { sum += subgroupShuffleXor(sum, mask); }
  return sum;
}
//: end
`;
