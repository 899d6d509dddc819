/**
 * exp by range reduction and a polynomial (the coefficients of Cephes' expf): within 2 units in the last place on any
 * adapter, where WGSL's own may be off by 3 + 2|x| of them. Below -87 it is 0, above 88 it stays there.
 */
export const EXP = /* wgsl */ `
fn exp_exact(x: f32) -> f32 {
  let bounded = clamp(x, -87.0, 88.0);
  let n = round(bounded * 1.4426950408889634);
  // ln 2 in two parts: the first has few enough bits that n times it is exact.
  let r = fma(n, 2.12194440e-4, fma(n, -0.693359375, bounded));
  var p = 1.9875691500e-4;
  p = fma(p, r, 1.3981999507e-3);
  p = fma(p, r, 8.3334519073e-3);
  p = fma(p, r, 4.1665795894e-2);
  p = fma(p, r, 1.6666665459e-1);
  p = fma(p, r, 5.0000001201e-1);
  let value = fma(p, r * r, r) + 1.0;
  return select(value * bitcast<f32>(u32(i32(n) + 127) << 23u), 0.0, x < -87.0);
}

fn tanh_exact(x: f32) -> f32 {
  let decay = exp_exact(-2.0 * abs(x));
  return sign(x) * (1.0 - decay) / (1.0 + decay);
}
`;
