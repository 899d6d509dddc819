import { itemAt } from "../../../models/certain.ts";
import {
  frequenciesAt,
  type Op,
  type QScale,
  type RopeLayout,
  type RopeSpec,
} from "../../../models/index.ts";
import type { StepRun } from "../run.ts";
import { normalise } from "./norm.ts";

/** In place on the q and k heads of each row: a norm over d_head where given, then the rotation. */
export function rope(run: StepRun, op: Extract<Op, { op: "rope" }>): void {
  const { d_head, n_kv_heads } = run.program;
  const spec = op.rope === null ? null : itemAt(run.ropes, op.rope);
  for (const [r, row] of run.buffers[op.buffer].entries()) {
    const { position, rope_length } = itemAt(run.rows, r);
    const rope = spec === null ? null : atLength(spec, rope_length);
    for (let head = 0; head < op.n_heads + n_kv_heads; head++) {
      const values = row.subarray(head * d_head, (head + 1) * d_head);
      const of_q = head < op.n_heads;
      const norm = of_q ? op.q_norm : op.k_norm;
      if (norm !== null) {
        const weight = weightOf(itemAt(run.weights, norm).data, of_q ? head : head - op.n_heads, d_head);
        normalise(op.norm, values, weight, null, op.eps);
      }
      if (rope !== null) rotate(values, rope, op.layout, position);
      if (!of_q || op.q_scale === null) continue;
      const factor = qFactor(op.q_scale, position);
      values.set(values.map((x) => x * factor));
    }
  }
}

/** 1 + beta ln(1 + floor(position / every)) */
export function qFactor({ beta, every }: QScale, position: number): number {
  return 1 + beta * Math.log(1 + Math.floor(position / every));
}

/** The rope as it is in a forward call of a length. */
function atLength(spec: RopeSpec, length: number | null): RopeSpec {
  return length === null ? spec : { ...spec, inv_freq: frequenciesAt(spec, length) };
}

/** One weight for every head, or each head's own. */
function weightOf(weight: Float32Array, head: number, d_head: number): Float32Array {
  return weight.length === d_head ? weight : weight.subarray(head * d_head, (head + 1) * d_head);
}

/**
 * Turns the pairs of a head, which lie half the turning part apart or side by side. The angle is rounded to
 * float32, as the reference rounds it (see `ropeRows`); its cosine and sine stay in f64.
 */
export function rotate(head: Float64Array, spec: RopeSpec, layout: RopeLayout, position: number): void {
  const half = spec.d_rot / 2;
  for (let j = 0; j < half; j++) {
    const [first, second] = layout === "half" ? [j, j + half] : [2 * j, 2 * j + 1];
    const angle = Math.fround(position * spec.inv_freq[j]!);
    const cos = Math.cos(angle) * spec.attention_factor;
    const sin = Math.sin(angle) * spec.attention_factor;
    const [a, b] = [head[first]!, head[second]!];
    head[first] = a * cos - b * sin;
    head[second] = b * cos + a * sin;
  }
}
