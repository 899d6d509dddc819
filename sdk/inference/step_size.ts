import type { Program } from "../../models/index.ts";

/** Products that WASM makes in some 40 ms on a slow machine (10 GMAC/s): what a step may hold a thread for. */
const PRODUCTS = 0.4e9;
/** Fewer tokens than this make the weights' way through memory cost more than the products. */
const LEAST = 8;

/** Most tokens of a step, where a step is to hold up the thread that it runs on for no longer than some 50 ms. */
export function smallStep(program: Program): number {
  return Math.max(LEAST, Math.floor(PRODUCTS / Math.max(1, productsOf(program))));
}

/** Products of the matrices that every token passes; those of the head and of attention come on top. */
function productsOf({ ops, weights }: Program): number {
  const size = (weight: number) => {
    const slot = weights[weight];
    return slot === undefined ? 0 : slot.rows * slot.cols;
  };
  return ops.reduce((sum, op) => {
    if (op.op === "matmul" || op.op === "router") return sum + size(op.weight);
    if (op.op === "experts") return sum + op.top_k * (size(op.gate_up) + size(op.down));
    return sum;
  }, 0);
}
