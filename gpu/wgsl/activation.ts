/** What a gated MLP does to its gate, by ACTIVATION. */
export const ACTIVATION = /* wgsl */ `
//: include exp
//: if ACTIVATION == silu
fn activate(gate: f32) -> f32 { return gate / (1.0 + exp_exact(-gate)); }
//: end
//: if ACTIVATION == gelu_tanh
fn activate(gate: f32) -> f32 {
  let inner = 0.7978845608028654 * (gate + 0.044715 * gate * gate * gate);
  // (1 + tanh y) / 2 is the logistic function of 2 y.
  return gate / (1.0 + exp_exact(-2.0 * inner));
}
//: end
`;
