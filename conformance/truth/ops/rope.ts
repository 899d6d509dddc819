import type { Op, RopeSpec } from "../../../models/index.ts";
import type { Run } from "../run.ts";
import { rmsNorm } from "./norm.ts";

/** In place on the q and k heads of each row: RMS norm over d_head where given, then the rotation. */
export function rope(run: Run, op: Extract<Op, { op: "rope" }>): void {
  const { d_head, n_kv_heads } = run.program;
  const spec = op.rope === null ? null : run.ropes[op.rope]!;
  for (const [r, row] of run.buffers[op.buffer].entries()) {
    for (let head = 0; head < op.n_heads + n_kv_heads; head++) {
      const values = row.subarray(head * d_head, (head + 1) * d_head);
      const weight = head < op.n_heads ? op.q_norm : op.k_norm;
      if (weight !== null) rmsNorm(values, run.weights[weight]!.data, op.eps);
      if (spec !== null) rotate(values, spec, run.rows[r]!.position);
    }
  }
}

/**
 * Turns element j of the first half with element j of the second. The angle is rounded to float32, as the
 * reference rounds it (see `ropeRows`); its cosine and sine stay in f64.
 */
export function rotate(head: Float64Array, spec: RopeSpec, position: number): void {
  const half = spec.d_rot / 2;
  for (let j = 0; j < half; j++) {
    const angle = Math.fround(position * spec.inv_freq[j]!);
    const cos = Math.cos(angle) * spec.attention_factor;
    const sin = Math.sin(angle) * spec.attention_factor;
    const a = head[j]!;
    const b = head[j + half]!;
    head[j] = a * cos - b * sin;
    head[j + half] = b * cos + a * sin;
  }
}
