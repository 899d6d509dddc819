/**
 * Weights by units of 16 bytes, for kernels that stream them: `weights` is bound as array<vec4<u32>>. A product is
 * unit_scale * dot(unit_quad, given) and, in q4, unit_center * sum(given).
 */
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
//: if DTYPE == q8
  let block = unit * UNIT / 32u;
  return scale_at(op.scales_at + row * (op.k / 64u) + block / 2u, block);
//: end
//: if DTYPE == q4
  return scale_at(op.scales_at + 2u * (row * (op.k / 64u) + unit / 2u), unit);
//: end
//: if QUANTISED
//: else
  return 1.0;
//: end
}

//: if DTYPE == q4
// A step of 8: what unit_quad has as 0.
fn unit_center(row: u32, unit: u32, scale: f32) -> f32 {
  return 8.0 * scale + scale_at(op.scales_at + 2u * (row * (op.k / 64u) + unit / 2u) + 1u, unit);
}
//: end

//: if QUANTISED
fn scale_at(at: u32, block: u32) -> f32 {
  let pair = unpack2x16float(weights[at / 4u][at % 4u]);
  return select(pair.x, pair.y, (block & 1u) == 1u) * SCALE_UNIT;
}
//: end
const SCALE_UNIT: f32 = 1.0 / 256.0;

//: if SUBGROUPS
fn team_sum(value: f32) -> f32 {
  var sum = value;
  for (var mask = LANES / 2u; mask > 0u; mask = mask / 2u) { sum += subgroupShuffleXor(sum, mask); }
  return sum;
}
//: end
`;
