import type { SiteId } from "./hooks.ts";
import type { Activation, NormKind, QScale, RopeLayout, TensorSpec } from "./spec.ts";

/**
 * A decoder's forward pass as a flat list of ops: the only one there is (`buildProgram` makes it). A device loads
 * it once and runs it whole, once a step, over a ragged batch. It is plain JSON-able data.
 *
 * Buffers hold one row a token of the step, [n_rows, width] float32. Up to `gather` a row is a token of the
 * batch; after it a row is a token whose logits are wanted (to sample from or to return).
 */
export interface Program {
  d_model: number;
  d_vocab: number;
  n_layers: number;
  n_kv_heads: number;
  d_head: number;
  /** Width of each buffer in floats a row; 0 for one that no op names. */
  buffers: Record<BufferName, number>;
  /** Every weight the ops name, by index. */
  weights: WeightSlot[];
  /** `d_rot` of each rope table; its rows come from the host (`ropeRows`). */
  ropes: number[];
  ops: Op[];
}

/**
 * `h` the residual stream; `x` normed input; `delta` what is added to `h`; `gate_up` an MLP's first product, gated
 * or not; `routes` the chosen experts; `last` the gathered rows of `h`.
 */
export type BufferName =
  | "h"
  | "x"
  | "qkv"
  | "attn"
  | "gate_up"
  | "act"
  | "routes"
  | "delta"
  | "last"
  | "logits";

/** Index into `Program.weights`. */
export type WeightId = number;

/**
 * A weight of the program: one tensor of the checkpoint, or several stacked on rows (`WeightSource` opens each).
 * A `matrix` [rows, cols] is multiplied (and looked up by row when it is an embedding); a `vector` [cols] is
 * kept in float32. `count` matrices of that size lie one after the other: 1, or one for each expert.
 */
export interface WeightSlot {
  kind: "matrix" | "vector";
  count: number;
  rows: number;
  cols: number;
  parts: TensorSpec[];
}

/** One op of a program: what it reads, and where it writes. */
export type Op =
  /** out[row] = scale * weight[token of row] + positions[position of row]. Residual sites after it: `sites`. */
  | { op: "embed"; weight: WeightId; positions: WeightId | null; scale: number; out: "h"; sites: SiteId[] }
  /**
   * out = weight * in / sqrt(mean(in^2) + eps) + bias; `layer`: of in - mean(in). With `columns`, in place on these
   * columns of a row alone; `in` may be `out` without them, too.
   */
  | {
      op: "norm";
      kind: NormKind;
      in: BufferName;
      out: BufferName;
      columns: { start: number; end: number } | null;
      weight: WeightId;
      bias: WeightId | null;
      eps: number;
    }
  /** out = weight in + bias */
  | { op: "matmul"; in: BufferName; out: BufferName; weight: WeightId; bias: WeightId | null }
  /**
   * In place on q and k of `qkv`: per-head norm (`norm`, no bias) where given, then the rotation by position, then
   * q's factor (`QScale`). A norm's weight is [d_head] for every head, or that of each head one after the other.
   */
  | {
      op: "rope";
      buffer: "qkv";
      n_heads: number;
      rope: number | null;
      layout: RopeLayout;
      norm: NormKind;
      q_norm: WeightId | null;
      k_norm: WeightId | null;
      eps: number;
      q_scale: QScale | null;
    }
  /** k and v of each row go to the paged cache of `layer` at the row's position. */
  | { op: "kv_append"; in: "qkv"; layer: number }
  /**
   * out = softmax(cap(q K^T scale), causal, within window) V, over the cache of `layer` (GQA), where
   * cap(s) = softcap tanh(s / softcap), or s without one.
   */
  | {
      op: "attention";
      in: "qkv";
      out: "attn";
      layer: number;
      n_heads: number;
      scale: number;
      softcap: number | null;
      window: number | null;
    }
  /** out = activation(gate) * up */
  | { op: "gated_act"; in: "gate_up"; out: "act"; activation: Activation }
  /** out = activation(in) */
  | { op: "act"; in: "gate_up"; out: "act"; activation: Activation }
  /**
   * p = softmax(weight in); out = the `top_k` experts of largest p (the lower one first on a tie), then their p in
   * the same order, divided by the sum of these with `renormalise`. Ids are kept as floats.
   */
  | { op: "router"; in: "x"; out: "routes"; weight: WeightId; top_k: number; renormalise: boolean }
  /** out = sum over the row's chosen experts of p * down_e (activation(gate) * up), gate|up = gate_up_e in */
  | {
      op: "experts";
      in: "x";
      routes: "routes";
      out: "delta";
      gate_up: WeightId;
      down: WeightId;
      top_k: number;
      activation: Activation;
    }
  /** in *= scale; `in` is read at `in_site`; into += in; then the hooks of `sites`, in order. */
  | { op: "residual_add"; in: "delta"; into: "h"; scale: number; in_site: SiteId; sites: SiteId[] }
  /** Keeps the rows whose logits are wanted. */
  | { op: "gather"; in: "h"; out: "last" }
  /** out = cap(scale * (weight in + bias)), with cap as in `attention` */
  | {
      op: "logits";
      in: "x";
      out: "logits";
      weight: WeightId;
      bias: WeightId | null;
      scale: number;
      softcap: number | null;
    }
  /** Draws a token for each entry that asks for one, from its last row of logits. */
  | { op: "sample"; in: "logits" };

/** The sites that the ops of a program pass, in the order of a forward pass. */
export function programSites(program: Program): SiteId[] {
  return program.ops.flatMap((op) => {
    if (op.op === "embed") return op.sites;
    return op.op === "residual_add" ? [op.in_site, ...op.sites] : [];
  });
}

/** Every tensor that the weights are made of, once each. */
export function tensorSpecs(table: { weights: readonly WeightSlot[] }): TensorSpec[] {
  const specs = new Map(table.weights.flatMap((slot) => slot.parts.map((part) => [part.name, part])));
  return [...specs.values()].map(({ name, shape }) => ({ name, shape }));
}
