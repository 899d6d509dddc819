import { CapstanError, show } from "../models/errors.ts";
import type { SiteId } from "../models/hooks.ts";
import type { BufferName, Op, Program, WeightId } from "../models/program.ts";
import type { Activation } from "../models/spec.ts";

type OpOf<Name extends Op["op"]> = Extract<Op, { op: Name }>;

/** A norm that is computed where its input is made. */
export interface FusedNorm {
  weight: WeightId;
  eps: number;
  out: BufferName;
}

/** One kernel's work: one op of the program, or several that share a dispatch. */
export type Stage =
  | { kind: "embed"; weight: WeightId; out: BufferName; sites: readonly SiteId[]; norm: FusedNorm | null }
  | {
      kind: "residual_add";
      in: BufferName;
      into: BufferName;
      in_site: SiteId;
      sites: readonly SiteId[];
      norm: FusedNorm | null;
    }
  | {
      kind: "matmul";
      in: BufferName;
      out: BufferName;
      weight: WeightId;
      bias: WeightId | null;
      /** Rows of the matrix are (gate, up) and the output is activation(gate) * up. */
      activation: Activation | null;
      /** Over the gathered rows. */
      logits: boolean;
    }
  | { kind: "rope_append"; rope: OpOf<"rope">; layer: number }
  | { kind: "attention"; op: OpOf<"attention"> }
  | { kind: "gather_norm"; in: BufferName; norm: FusedNorm }
  | { kind: "sample" };

/**
 * Puts a program's ops together into stages, each one dispatch: norms go into what makes their input, the gate's
 * activation into its matrix product, the cache append into the rotation. Eight dispatches a layer.
 *
 * @throws CapstanError `unsupported` for an op that stands where no kernel takes it
 */
export function planStages({ ops }: Program): Stage[] {
  const stages: Stage[] = [];
  for (let i = 0; i < ops.length; ) {
    const [stage, taken] = stageAt(ops, i);
    stages.push(stage);
    i += taken;
  }
  return stages;
}

function stageAt(ops: readonly Op[], i: number): [Stage, number] {
  const op = ops[i]!;
  const next = ops[i + 1];
  if (!isKnown(op)) throw refused(op);
  switch (op.op) {
    case "embed": {
      const norm = normOf(next, op.out);
      return [
        { kind: "embed", weight: op.weight, out: op.out, sites: op.sites, norm },
        norm === null ? 1 : 2,
      ];
    }
    case "residual_add": {
      const norm = normOf(next, op.into);
      const { in: from, into, in_site, sites } = op;
      return [{ kind: "residual_add", in: from, into, in_site, sites, norm }, norm === null ? 1 : 2];
    }
    case "matmul": {
      const gate = next?.op === "gated_act" && next.in === op.out ? next : null;
      const { in: from, weight, bias } = op;
      const out = gate?.out ?? op.out;
      const stage = { kind: "matmul", in: from, out, weight, bias, logits: false } as const;
      return [{ ...stage, activation: gate?.activation ?? null }, gate === null ? 1 : 2];
    }
    case "rope":
      if (next?.op !== "kv_append" || next.in !== op.buffer) throw refused(op);
      return [{ kind: "rope_append", rope: op, layer: next.layer }, 2];
    case "attention":
      return [{ kind: "attention", op }, 1];
    case "gather": {
      const norm = normOf(next, op.out);
      if (norm === null) throw refused(op);
      return [{ kind: "gather_norm", in: op.in, norm }, 2];
    }
    case "logits": {
      const { in: from, out, weight } = op;
      return [{ kind: "matmul", in: from, out, weight, bias: null, activation: null, logits: true }, 1];
    }
    case "sample":
      return [{ kind: "sample" }, 1];
    default:
      throw refused(op);
  }
}

/** Whether our kernels compute all that the op asks for. */
function isKnown(op: Op): boolean {
  if (op.op === "embed") return op.positions === null && op.scale === 1;
  if (op.op === "norm") return op.kind === "rms" && op.bias === null && op.columns === null;
  if (op.op === "rope") return op.layout === "half" && op.norm === "rms";
  if (op.op === "attention") return op.softcap === null;
  if (op.op === "gated_act") return op.activation !== "gelu";
  if (op.op === "residual_add") return op.scale === 1;
  if (op.op === "logits") return op.scale === 1 && op.softcap === null;
  return true;
}

function normOf(op: Op | undefined, input: BufferName): FusedNorm | null {
  if (op?.op !== "norm" || op.in !== input || op.kind !== "rms") return null;
  return { weight: op.weight, eps: op.eps, out: op.out };
}

function refused(op: Op): CapstanError {
  return new CapstanError("unsupported", {
    action: "load a model on WebGPU",
    need: "ops in an order that its kernels know",
    found: show(op),
    mend: 'Device "wasm" runs it.',
  });
}

/** Activation buffers of a plan, in the order they are written, and which stages they must live through. */
export interface Lifetime {
  name: BufferName;
  first: number;
  last: number;
}

export function lifetimes(stages: readonly Stage[]): Lifetime[] {
  const found = new Map<BufferName, Lifetime>();
  for (const [index, stage] of stages.entries()) {
    for (const name of buffersOf(stage)) {
      const life = found.get(name);
      if (life === undefined) found.set(name, { name, first: index, last: index });
      else life.last = index;
    }
  }
  return [...found.values()];
}

function buffersOf(stage: Stage): BufferName[] {
  const norm = (fused: FusedNorm | null): BufferName[] => (fused === null ? [] : [fused.out]);
  switch (stage.kind) {
    case "embed":
      return [stage.out, ...norm(stage.norm)];
    case "residual_add":
      return [stage.in, stage.into, ...norm(stage.norm)];
    case "matmul":
      return [stage.in, stage.out];
    case "rope_append":
      return [stage.rope.buffer];
    case "attention":
      return [stage.op.in, stage.op.out];
    case "gather_norm":
      return [stage.in, stage.norm.out];
    case "sample":
      return ["logits"];
    default:
      return stage satisfies never;
  }
}

/**
 * Puts buffers that never live at the same time into one: the widest first, each into the first place where it
 * overlaps nobody. Lifetimes are those of the whole plan, so layers reuse the same places.
 */
export function shareBuffers(
  lives: readonly Lifetime[],
  widths: Readonly<Record<BufferName, number>>,
): { place: Map<BufferName, number>; widths: number[] } {
  const places: { width: number; held: Lifetime[] }[] = [];
  const place = new Map<BufferName, number>();
  for (const life of [...lives].sort((a, b) => widths[b.name] - widths[a.name])) {
    const overlaps = (other: Lifetime) => other.first <= life.last && life.first <= other.last;
    let index = places.findIndex(({ held }) => !held.some(overlaps));
    if (index < 0) index = places.push({ width: widths[life.name], held: [] }) - 1;
    places[index]!.held.push(life);
    place.set(life.name, index);
  }
  return { place, widths: places.map(({ width }) => width) };
}
