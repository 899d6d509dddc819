import { CapstanError, show } from "../models/errors.ts";
import type { BufferName, Op, Program, WeightId } from "../models/program.ts";
import type { Activation } from "../models/spec.ts";

type OpOf<Name extends Op["op"]> = Extract<Op, { op: Name }>;

/** Buffers of the program, and the one between an expert's two matrices, which no op names. */
export type ActivationName = BufferName | "expert_act";

/** A norm that is computed where its input is made. */
export type FusedNorm = Pick<OpOf<"norm">, "kind" | "weight" | "bias" | "eps" | "out">;

/** One kernel's work: one op of the program, or several that share a dispatch. */
export type Stage =
  | { kind: "embed"; op: OpOf<"embed">; norm: FusedNorm | null; router: OpOf<"router"> | null }
  | {
      kind: "residual_add";
      op: OpOf<"residual_add">;
      /** Of what is added, in place, before it is. */
      pre_norm: FusedNorm | null;
      norm: FusedNorm | null;
      /** The norm is of the row before the add (parallel blocks) or after it. */
      norm_of: "before" | "after";
      router: OpOf<"router"> | null;
    }
  | {
      kind: "matmul";
      in: BufferName;
      out: BufferName;
      weight: WeightId;
      bias: WeightId | null;
      activation: Activation | null;
      /** Rows of the matrix are (gate, up) and the output is activation(gate) * up. */
      gated: boolean;
      /** Over the gathered rows. */
      logits: OpOf<"logits"> | null;
    }
  | {
      kind: "rope_append";
      rope: OpOf<"rope">;
      layer: number;
      /** Norms over the whole q and the whole k of a row. */
      row_norms: { q: OpOf<"norm">; k: OpOf<"norm"> } | null;
      /** Where attention finds q. */
      out: BufferName;
    }
  | { kind: "attention"; op: OpOf<"attention"> }
  | { kind: "experts"; op: OpOf<"experts"> }
  | { kind: "norm"; in: BufferName; norm: FusedNorm; gathered: boolean }
  | { kind: "sample" };

/**
 * Puts a program's ops together into stages, each one dispatch (`experts` two): norms and routing go into what makes
 * their input, an activation into its matrix product, norms of q and k and the cache append into the rotation. Eight
 * dispatches a layer at most.
 *
 * @throws CapstanError `unsupported` for ops in an order that no kernel takes
 */
export function planStages({ ops }: Program): Stage[] {
  const reader = new OpReader(ops);
  const stages: Stage[] = [];
  for (let op = reader.next(); op !== undefined; op = reader.next()) stages.push(readStage(op, reader));
  return stages;
}

/** Walks over ops, taking the next one where it is what a stage can use. */
class OpReader {
  readonly #ops: readonly Op[];
  #at = 0;

  constructor(ops: readonly Op[]) {
    this.#ops = ops;
  }

  next(): Op | undefined {
    return this.#ops[this.#at++];
  }

  take<Name extends Op["op"]>(name: Name, fits: (op: OpOf<Name>) => boolean = () => true): OpOf<Name> | null {
    const op = this.#ops[this.#at];
    if (op?.op !== name || !fits(op as OpOf<Name>)) return null;
    this.#at++;
    return op as OpOf<Name>;
  }

  /** Leaves the op taken last to the next stage. */
  back(): void {
    this.#at--;
  }

  /** A norm of whole rows of a buffer into another one. */
  norm(from: BufferName): FusedNorm | null {
    return this.take("norm", (op) => op.columns === null && op.in === from && op.out !== from);
  }
}

function readStage(op: Op, reader: OpReader): Stage {
  switch (op.op) {
    case "embed": {
      const norm = reader.norm(op.out);
      return { kind: "embed", op, norm, router: routerOf(norm, reader) };
    }
    case "residual_add":
      return readAdd(op, null, reader);
    case "norm":
      return readNorm(op, reader);
    case "matmul":
      return readMatmul(op, reader);
    case "rope":
      return readRope(op, null, reader);
    case "attention":
      return { kind: "attention", op };
    case "experts":
      return { kind: "experts", op };
    case "gather": {
      const norm = reader.norm(op.out);
      if (norm === null) throw refused(op);
      return { kind: "norm", in: op.in, norm, gathered: true };
    }
    case "logits": {
      const { in: from, out, weight, bias } = op;
      return {
        kind: "matmul",
        in: from,
        out,
        weight,
        bias,
        activation: null,
        gated: false,
        logits: op,
      };
    }
    case "sample":
      return { kind: "sample" };
    // Of a stage that another op begins.
    case "kv_append":
    case "gated_act":
    case "act":
    case "router":
      throw refused(op);
    default:
      return op satisfies never;
  }
}

function readAdd(op: OpOf<"residual_add">, pre_norm: FusedNorm | null, reader: OpReader): Stage {
  const norm = reader.norm(op.into);
  const router = routerOf(norm, reader);
  return { kind: "residual_add", op, pre_norm, norm, norm_of: "after", router };
}

/** Experts are chosen where their input is normed. */
function routerOf(norm: FusedNorm | null, reader: OpReader): OpOf<"router"> | null {
  return norm === null ? null : reader.take("router", (op) => op.in === norm.out);
}

/** A norm of what is about to be added, of the row before an add, of whole q and k, or by itself. */
function readNorm(op: OpOf<"norm">, reader: OpReader): Stage {
  if (op.columns !== null) {
    const k = reader.take("norm", ({ columns, in: from }) => columns !== null && from === op.in);
    const rope = k && reader.take("rope", ({ buffer }) => buffer === op.in);
    if (k === null || rope === null) throw refused(op);
    return readRope(rope, { q: op, k }, reader);
  }
  if (op.in === op.out) {
    const add = reader.take("residual_add", (next) => next.in === op.out);
    if (add === null) throw refused(op);
    return readAdd(add, op, reader);
  }
  const add = reader.take("residual_add", (next) => next.into === op.in);
  if (add === null) return { kind: "norm", in: op.in, norm: op, gathered: false };
  return { kind: "residual_add", op: add, pre_norm: null, norm: op, norm_of: "before", router: null };
}

function readMatmul(op: OpOf<"matmul">, reader: OpReader): Stage {
  const gate = reader.take("gated_act", (next) => next.in === op.out);
  const act = gate ?? reader.take("act", (next) => next.in === op.out);
  const { in: from, weight, bias } = op;
  const out = act?.out ?? op.out;
  const activation = act?.activation ?? null;
  return { kind: "matmul", in: from, out, weight, bias, activation, gated: gate !== null, logits: null };
}

function readRope(
  op: OpOf<"rope">,
  row_norms: { q: OpOf<"norm">; k: OpOf<"norm"> } | null,
  reader: OpReader,
): Stage {
  const append = reader.take("kv_append", (next) => next.in === op.buffer);
  const attention = reader.take("attention", (next) => next.in === op.buffer);
  if (append === null || attention === null) throw refused(op);
  reader.back();
  return { kind: "rope_append", rope: op, layer: append.layer, row_norms, out: attention.out };
}

function refused(op: Op): CapstanError {
  return new CapstanError("unsupported", {
    action: "load a model on WebGPU",
    need: "ops in an order that its kernels know",
    found: show(op),
    fix: 'Device "wasm" runs it.',
  });
}
