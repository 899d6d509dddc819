import { entryOf } from "../../../models/certain.ts";
import type { Kernel } from "../../context.ts";
import { EXPERTS_OP } from "../../layout/ops.ts";
import type { Stage } from "../../plan.ts";
import type { Resources } from "../../resources.ts";
import { PACKING, type StoredMatrix } from "../../weights/layout.ts";
import type { BuildContext, Dispatch, Work } from "../../work.ts";
import { lanesOf } from "../matmul/index.ts";
import { EXPERTS } from "./experts.wgsl.ts";

const KERNEL = {
  name: "experts",
  source: EXPERTS,
  op: EXPERTS_OP,
  bindings: ["read", "write", "read", "read"],
} satisfies Kernel;
const THREADS = 64;
const TEAM_ROWS = 4;

/** The chosen experts of each row: activation(gate) * up of each, then their sum by shares. */
export async function buildExperts(
  { op }: Extract<Stage, { kind: "experts" }>,
  { buffers }: Resources,
  context: BuildContext,
): Promise<Work> {
  const { matrices } = context.weights;
  const [gate_up, down] = [entryOf(matrices, op.gate_up), entryOf(matrices, op.down)];
  const inner_stride = buffers.stride("expert_act") / op.top_k;
  const first = await half(op, gate_up, inner_stride, false, context);
  const second = await half(op, down, buffers.stride(op.out), true, context);
  const all = [...first, ...second];
  return { all, choose: () => all };
}

async function half(
  op: Extract<Stage, { kind: "experts" }>["op"],
  matrix: StoredMatrix,
  out_stride: number,
  is_down: boolean,
  { gpu }: BuildContext,
): Promise<Dispatch[]> {
  const lanes = lanesOf(gpu.adapter);
  const pipeline = await gpu.pipeline(KERNEL, {
    DTYPE: matrix.dtype,
    QUANTISED: PACKING[matrix.dtype].quantised,
    UNIT: PACKING[matrix.dtype].unit,
    QUADS: PACKING[matrix.dtype].unit / 4,
    LANES: lanes,
    WG: THREADS,
    R: TEAM_ROWS,
    TOP_K: op.top_k,
    DOWN: is_down,
    ACTIVATION: op.activation,
    SUBGROUPS: false,
  });
  const outputs = (THREADS / lanes) * TEAM_ROWS * (is_down ? 1 : 0.5);
  return matrix.chunks.map(({ buffer, first_row, n_rows, scales_at }) => ({
    pipeline,
    op: KERNEL.op.pack({
      first_expert: first_row / matrix.rows,
      n_experts: n_rows / matrix.rows,
      scales_at,
      k: matrix.k,
      rows: matrix.rows,
      out_stride,
    }),
    bindings: ({ buffers }) => [
      buffers.activation(is_down ? "expert_act" : op.in),
      buffers.activation(is_down ? op.out : "expert_act"),
      buffer,
      buffers.results,
    ],
    groups: (sizes) => [Math.ceil(out_stride / outputs), sizes.n_rows * (is_down ? 1 : op.top_k), 1],
  }));
}
