import { itemAt } from "../../../models/certain.ts";
import type { Op } from "../../../models/index.ts";
import type { StepRun } from "../run.ts";
import { matrixOf } from "../weights.ts";
import { gate } from "./act.ts";
import { softmax } from "./attention.ts";
import { product } from "./matmul.ts";

/** The `top_k` likeliest experts of each row and their shares: [ids, shares]. */
export function router(run: StepRun, op: Extract<Op, { op: "router" }>): void {
  const weight = itemAt(run.weights, op.weight);
  run.buffers[op.out] = run.buffers[op.in].map((row) => {
    const shares = softmax([...product(weight, row, null)]);
    const ids = [...shares.keys()]
      .sort((a, b) => itemAt(shares, b) - itemAt(shares, a) || a - b)
      .slice(0, op.top_k);
    const sum = op.renormalise ? ids.reduce((total, id) => total + itemAt(shares, id), 0) : 1;
    return Float64Array.from([...ids, ...ids.map((id) => itemAt(shares, id) / sum)]);
  });
}

/** out = sum over the chosen experts of share * down (activation(gate) * up) */
export function experts(run: StepRun, op: Extract<Op, { op: "experts" }>): void {
  const [gate_up, down] = [itemAt(run.weights, op.gate_up), itemAt(run.weights, op.down)];
  run.buffers[op.out] = run.buffers[op.in].map((row, r) => {
    const routes = itemAt(run.buffers[op.routes], r);
    const out = new Float64Array(down.rows);
    for (let k = 0; k < op.top_k; k++) {
      const [id, share] = [routes[k]!, routes[op.top_k + k]!];
      const inner = gate(op.activation, product(matrixOf(gate_up, id), row, null));
      for (const [i, x] of product(matrixOf(down, id), inner, null).entries()) out[i]! += share * x;
    }
    return out;
  });
}
