import { itemAt } from "../../../models/certain.ts";
import type { Op } from "../../../models/index.ts";
import type { Row, StepRun } from "../run.ts";

type AttentionOp = Extract<Op, { op: "attention" }>;

/** out = softmax(cap(q K^T scale)) V over positions up to the row's own, within the window; query heads share kv heads. */
export function attention(run: StepRun, op: AttentionOp): void {
  run.buffers[op.out] = run.buffers[op.in].map((qkv, r) => attend(run, op, qkv, itemAt(run.rows, r)));
}

/** One row: [n_heads * d_head]. */
function attend(run: StepRun, op: AttentionOp, qkv: Float64Array, row: Row): Float64Array {
  const { d_head, n_kv_heads } = run.program;
  const first = op.window === null ? 0 : Math.max(0, row.position - op.window + 1);
  const past = Array.from({ length: row.position - first + 1 }, (_, i) =>
    run.cache.at(row.entry.ask.blocks, op.layer, first + i),
  );
  const out = new Float64Array(op.n_heads * d_head);
  for (let head = 0; head < op.n_heads; head++) {
    const from = Math.floor(head / (op.n_heads / n_kv_heads)) * d_head;
    const q = qkv.subarray(head * d_head, (head + 1) * d_head);
    const weights = softmax(
      past.map(({ key }) => softcapped(dot(q, key.subarray(from, from + d_head)) * op.scale, op.softcap)),
    );
    for (const [i, { value }] of past.entries()) {
      const weight = itemAt(weights, i);
      for (let d = 0; d < d_head; d++) out[head * d_head + d]! += weight * value[from + d]!;
    }
  }
  return out;
}

/** cap tanh(score / cap), or the score without a cap. */
export function softcapped(score: number, cap: number | null): number {
  return cap === null ? score : cap * Math.tanh(score / cap);
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

export function softmax(scores: readonly number[]): number[] {
  const max = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const exps = scores.map((score) => Math.exp(score - max));
  const sum = exps.reduce((a, b) => a + b, 0);
  return exps.map((e) => e / sum);
}
