import type { Activation, Op } from "../../../models/index.ts";
import type { Run } from "../run.ts";

/** out = activation(gate) * up; a row is [gate, up]. */
export function gatedAct(run: Run, op: Extract<Op, { op: "gated_act" }>): void {
  run.buffers[op.out] = run.buffers[op.in].map((row) => {
    const half = row.length / 2;
    return Float64Array.from({ length: half }, (_, i) => activate(op.activation, row[i]!) * row[half + i]!);
  });
}

export function activate(kind: Activation, x: number): number {
  switch (kind) {
    case "silu":
      return x / (1 + Math.exp(-x));
    case "gelu_tanh":
      return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    default:
      return kind satisfies never;
  }
}
