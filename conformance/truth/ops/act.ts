import type { Activation, Op } from "../../../models/index.ts";
import type { StepRun } from "../run.ts";

/** out = activation(in), element by element. */
export function act(run: StepRun, op: Extract<Op, { op: "act" }>): void {
  run.buffers[op.out] = run.buffers[op.in].map((row) => row.map((x) => activate(op.activation, x)));
}

/** out = activation(gate) * up; a row is [gate, up]. */
export function gatedAct(run: StepRun, op: Extract<Op, { op: "gated_act" }>): void {
  run.buffers[op.out] = run.buffers[op.in].map((row) => gate(op.activation, row));
}

/** [n] of a row [gate, up] of twice that. */
export function gate(activation: Activation, row: Float64Array): Float64Array {
  const half = row.length / 2;
  return Float64Array.from({ length: half }, (_, i) => activate(activation, row[i]!) * row[half + i]!);
}

export function activate(kind: Activation, x: number): number {
  switch (kind) {
    case "silu":
      return x / (1 + Math.exp(-x));
    case "gelu":
      return 0.5 * x * (1 + erf(x / Math.SQRT2));
    case "gelu_tanh":
      return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    case "relu":
      return Math.max(x, 0);
    case "relu2":
      return Math.max(x, 0) ** 2;
    default:
      return kind satisfies never;
  }
}

/** erf x = 2 / sqrt(pi) e^(-x^2) (x + 2 x^3 / 3 + 4 x^5 / 15 + ...): all terms of one sign, so none cancel. */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
