/**
 * Four consecutive weights of a stored matrix, as \`weights/layout.ts\` packs them. \`weights\` is bound by the kernel;
 * `op.k` is the padded length of a row, \`scales_at\` the u32 where a quantised matrix's scales begin (two f16 a u32,
 * one for each 32 weights; in q4 a u32 of offsets follows each).
 */
export const MATRIX = /* wgsl */ `
//: if DTYPE == f32
fn weight_quad(row: u32, quad: u32, scales_at: u32) -> vec4<f32> {
  let at = row * op.k + 4u * quad;
  return bitcast<vec4<f32>>(vec4<u32>(weights[at], weights[at + 1u], weights[at + 2u], weights[at + 3u]));
}
//: end
//: if DTYPE == f16
fn weight_quad(row: u32, quad: u32, scales_at: u32) -> vec4<f32> {
  let at = row * (op.k / 2u) + 2u * quad;
  return vec4<f32>(unpack2x16float(weights[at]), unpack2x16float(weights[at + 1u]));
}
//: end
//: if DTYPE == bf16
fn weight_quad(row: u32, quad: u32, scales_at: u32) -> vec4<f32> {
  let at = row * (op.k / 2u) + 2u * quad;
  let a = weights[at];
  let b = weights[at + 1u];
  return bitcast<vec4<f32>>(vec4<u32>(a << 16u, a & 0xffff0000u, b << 16u, b & 0xffff0000u));
}
//: end
//: if DTYPE == q8
fn weight_quad(row: u32, quad: u32, scales_at: u32) -> vec4<f32> {
  return weight_scale(row, quad / 8u, scales_at) * vec4<f32>(unpack4xI8(weights[row * (op.k / 4u) + quad]));
}
//: end
//: if DTYPE == q4
fn weight_quad(row: u32, quad: u32, scales_at: u32) -> vec4<f32> {
  let nibbles = weights[row * (op.k / 8u) + quad / 2u] >> (4u * (quad % 2u));
  let values = vec4<f32>(unpack4xU8(nibbles & 0x0f0f0f0fu));
  let block = quad / 8u;
  let at = scales_at + 2u * (row * (op.k / 64u) + block / 2u);
  return one_of(weights[at], block) * values + one_of(weights[at + 1u], block);
}
//: end
//: if DTYPE == q8
fn weight_scale(row: u32, block: u32, scales_at: u32) -> f32 {
  return one_of(weights[scales_at + row * (op.k / 64u) + block / 2u], block);
}
//: end
//: if QUANTISED
fn one_of(halves: u32, block: u32) -> f32 {
  let pair = unpack2x16float(halves);
  return select(pair.x, pair.y, (block & 1u) == 1u) / 256.0;
}
//: end
`;
