/** What an MLP does to its gate (or to its one product), by ACTIVATION. */
export const ACTIVATION = /* wgsl */ `
//: include exp
//: if ACTIVATION == silu
fn activate(gate: f32) -> f32 { return gate / (1.0 + exp_exact(-gate)); }
//: end
//: if ACTIVATION == gelu
// erfc by the Chebyshev fit of Numerical Recipes (2nd edition, 6.2): within 1.2e-7 of itself everywhere.
fn erfc_exact(x: f32) -> f32 {
  let size = abs(x);
  let t = 1.0 / (1.0 + 0.5 * size);
  var p = fma(t, 0.17087277, -0.82215223);
  p = fma(t, p, 1.48851587);
  p = fma(t, p, -1.13520398);
  p = fma(t, p, 0.27886807);
  p = fma(t, p, -0.18628806);
  p = fma(t, p, 0.09678418);
  p = fma(t, p, 0.37409196);
  p = fma(t, p, 1.00002368);
  p = fma(t, p, -1.26551223);
  let tail = t * exp_exact(fma(-size, size, p));
  return select(tail, 2.0 - tail, x < 0.0);
}
fn activate(gate: f32) -> f32 { return 0.5 * gate * erfc_exact(-0.7071067811865476 * gate); }
//: end
//: if ACTIVATION == relu
// By select: of NaN max may give 0, and nothing of it would be left.
fn activate(gate: f32) -> f32 { return select(gate, 0.0, gate < 0.0); }
//: end
//: if ACTIVATION == relu2
fn activate(gate: f32) -> f32 { return select(gate * gate, 0.0, gate < 0.0); }
//: end
//: if ACTIVATION == gelu_tanh
fn activate(gate: f32) -> f32 {
  let inner = 0.7978845608028654 * (gate + 0.044715 * gate * gate * gate);
  // (1 + tanh y) / 2 is the logistic function of 2 y.
  return gate / (1.0 + exp_exact(-2.0 * inner));
}
//: end
`;
