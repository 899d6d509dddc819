/**
 * The end of a matrix product: bias, then the gate's activation where rows are pairs (gate, up), and zeros in the
 * padding of the output's row. `row` counts weight rows of this chunk; `second` is row + 1's sum when GATED.
 */
export const MATMUL_WRITE = /* wgsl */ `
// Weight rows of an output.
const STRIDE_R: u32 = select(1u, 2u, GATED);

fn n_inputs() -> u32 {
//: if LOGITS
  return step.n_gathered;
//: else
  return step.n_rows;
//: end
}

fn biased(row: u32, sum: f32) -> f32 {
//: if BIAS
  let whole = op.first_row + min(row, op.n_rows - 1u);
//: if GATED
  // The bias has all gates first, then all ups.
  return sum + vectors[op.bias_at + (whole % 2u) * (op.rows / 2u) + whole / 2u];
//: else
  return sum + vectors[op.bias_at + whole];
//: end
//: else
  return sum;
//: end
}

fn write(input_row: u32, row: u32, sum: f32, second: f32) {
  let out = row / STRIDE_R;
  if (input_row >= n_inputs() || out >= op.n_out) { return; }
//: if GATED
  let value = activate(biased(row, sum)) * biased(row + 1u, second);
//: else
//: if ACTIVATION == none
  var value = biased(row, sum);
//: else
  let value = activate(biased(row, sum));
//: end
//: end
//: if LOGITS
  value *= LOGIT_SCALE;
//: if SOFTCAPPED
  value = SOFTCAP * tanh_exact(value / SOFTCAP);
//: end
//: end
  output[input_row * op.out_stride + op.out_at + out] = select(0.0, value, row < op.n_rows);
}
`;
