/**
 * The end of a matrix product: bias, then the gate's activation where rows are pairs (gate, up), and zeros in the
 * padding of the output's row. `row` counts weight rows of this chunk; `second` is row + 1's sum when GATED.
 */
export const MATMUL_WRITE = /* wgsl */ `
fn biased(row: u32, sum: f32) -> f32 {
//: if BIAS
  let whole = op.first_row + min(row, op.n_rows - 1u);
//: if GATED
  // The bias has all gates first, then all ups.
  return sum + vectors[op.bias + (whole % 2u) * (ROWS / 2u) + whole / 2u];
//: else
  return sum + vectors[op.bias + whole];
//: end
//: else
  return sum;
//: end
}

fn write(input_row: u32, row: u32, sum: f32, second: f32) {
  let out = row / STRIDE_R;
  if (input_row >= select(step.n_rows, step.n_gathered, LOGITS) || out >= op.n_out) { return; }
//: if GATED
  let value = activate(biased(row, sum)) * biased(row + 1u, second);
//: else
  let value = biased(row, sum);
//: end
  output[input_row * OUT_STRIDE + op.out_at + out] = select(0.0, value, row < op.n_rows);
}
`;
