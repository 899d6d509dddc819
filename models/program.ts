import { type Site, type SiteId, type SiteKind, siteId } from "./hooks.ts";
import type { Activation, Decoder, DecoderSpec, TensorSpec } from "./spec.ts";

/**
 * A decoder's forward pass as a flat list of ops: the only one there is. A device loads it once and runs it
 * whole, once a step, over a ragged batch. It is plain JSON-able data.
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
  /** Width of each buffer in floats a row. */
  buffers: Record<BufferName, number>;
  /** Every weight the ops name, by index. */
  weights: WeightSlot[];
  /** `d_rot` of each rope table; its rows come from the host (`ropeRows`). */
  ropes: number[];
  ops: Op[];
}

/** `h` the residual stream; `x` normed input; `delta` what is added to `h`; `last` the gathered rows of `h`. */
export type BufferName = "h" | "x" | "qkv" | "attn" | "gate_up" | "act" | "delta" | "last" | "logits";

/** Index into `Program.weights`. */
export type WeightId = number;

/**
 * A weight of the program: one tensor of the checkpoint, or several stacked on rows.
 * A `matrix` [rows, cols] is multiplied (and looked up by row when it is an embedding); a `vector` [cols] is
 * kept in float32.
 */
export interface WeightSlot {
  kind: "matrix" | "vector";
  rows: number;
  cols: number;
  parts: TensorSpec[];
}

export type Op =
  /** out[row] = weight[token of row]. Residual sites after it: `sites`. */
  | { op: "embed"; weight: WeightId; out: "h"; sites: SiteId[] }
  /** out = in / sqrt(mean(in^2) + eps) * weight */
  | { op: "norm"; kind: "rms"; in: BufferName; out: BufferName; weight: WeightId; eps: number }
  /** out = weight in + bias */
  | { op: "matmul"; in: BufferName; out: BufferName; weight: WeightId; bias: WeightId | null }
  /** In place on q and k of `qkv`: per-head RMS norm where given, then the rotation by position. */
  | {
      op: "rope";
      buffer: "qkv";
      n_heads: number;
      rope: number | null;
      q_norm: WeightId | null;
      k_norm: WeightId | null;
      eps: number;
    }
  /** k and v of each row go to the paged cache of `layer` at the row's position. */
  | { op: "kv_append"; in: "qkv"; layer: number }
  /** out = softmax(q K^T scale, causal, within window) V, over the cache of `layer` (GQA). */
  | {
      op: "attention";
      in: "qkv";
      out: "attn";
      layer: number;
      n_heads: number;
      scale: number;
      window: number | null;
    }
  /** out = activation(gate) * up */
  | { op: "gated_act"; in: "gate_up"; out: "act"; activation: Activation }
  /** `in` is read at `in_site`; into += in; then the hooks of `sites`, in order. */
  | { op: "residual_add"; in: "delta"; into: "h"; in_site: SiteId; sites: SiteId[] }
  /** Keeps the rows whose logits are wanted. */
  | { op: "gather"; in: "h"; out: "last" }
  | { op: "logits"; in: "x"; out: "logits"; weight: WeightId }
  /** Draws a token for each entry that asks for one, from its last row of logits. */
  | { op: "sample"; in: "logits" };

/** Builds the forward pass of a decoder. */
export function buildProgram({ spec, tensors }: Decoder): Program {
  const weights: WeightSlot[] = [];
  const ops: Op[] = [];
  const matrix = (...parts: TensorSpec[]) => addWeight(weights, "matrix", parts);
  const vector = (...parts: TensorSpec[]) => addWeight(weights, "vector", parts);
  const eps = spec.norm.eps;

  const embed = matrix(tensors.embed);
  ops.push({ op: "embed", weight: embed, out: "h", sites: [site(spec, 0, "hook_resid_pre")] });
  for (const [layer, names] of tensors.layers.entries()) {
    const { rope, window } = spec.layers[layer]!;
    const optional = (parts: TensorSpec[] | null) => (parts === null ? null : vector(...parts));
    const one = (part: TensorSpec | null) => (part === null ? null : vector(part));
    ops.push(
      { op: "norm", kind: "rms", in: "h", out: "x", weight: vector(names.attn_norm), eps },
      { op: "matmul", in: "x", out: "qkv", weight: matrix(...names.qkv), bias: optional(names.qkv_bias) },
      {
        op: "rope",
        buffer: "qkv",
        n_heads: spec.n_heads,
        rope,
        q_norm: one(names.q_norm),
        k_norm: one(names.k_norm),
        eps,
      },
      { op: "kv_append", in: "qkv", layer },
      {
        op: "attention",
        in: "qkv",
        out: "attn",
        layer,
        n_heads: spec.n_heads,
        scale: spec.attn_scale,
        window,
      },
      {
        op: "matmul",
        in: "attn",
        out: "delta",
        weight: matrix(names.attn_out),
        bias: one(names.attn_out_bias),
      },
      residualAdd(spec, layer, "hook_attn_out", "hook_resid_mid"),
      { op: "norm", kind: "rms", in: "h", out: "x", weight: vector(names.mlp_norm), eps },
      {
        op: "matmul",
        in: "x",
        out: "gate_up",
        weight: matrix(...names.gate_up),
        bias: optional(names.gate_up_bias),
      },
      { op: "gated_act", in: "gate_up", out: "act", activation: spec.activation },
      { op: "matmul", in: "act", out: "delta", weight: matrix(names.mlp_out), bias: one(names.mlp_out_bias) },
      residualAdd(spec, layer, "hook_mlp_out", "hook_resid_post"),
    );
  }
  ops.push(
    { op: "gather", in: "h", out: "last" },
    { op: "norm", kind: "rms", in: "last", out: "x", weight: vector(tensors.final_norm), eps },
    { op: "logits", in: "x", out: "logits", weight: spec.tied_embeddings ? embed : matrix(tensors.head) },
    { op: "sample", in: "logits" },
  );
  const { d_model, d_vocab, n_layers, n_kv_heads, d_head } = spec;
  const ropes = spec.ropes.map((rope) => rope.d_rot);
  return { d_model, d_vocab, n_layers, n_kv_heads, d_head, buffers: bufferWidths(spec), weights, ropes, ops };
}

/** Every tensor a decoder's table names, once each (a tied head is its embedding). */
export function tensorSpecs(table: { weights: readonly WeightSlot[] }): TensorSpec[] {
  return table.weights.flatMap((slot) => slot.parts);
}

function bufferWidths(spec: DecoderSpec): Record<BufferName, number> {
  const { d_model, n_heads, n_kv_heads, d_head, d_mlp, d_vocab } = spec;
  return {
    h: d_model,
    x: d_model,
    qkv: (n_heads + 2 * n_kv_heads) * d_head,
    attn: n_heads * d_head,
    gate_up: 2 * d_mlp,
    act: d_mlp,
    delta: d_model,
    last: d_model,
    logits: d_vocab,
  };
}

function addWeight(weights: WeightSlot[], kind: WeightSlot["kind"], parts: TensorSpec[]): WeightId {
  const cols = kind === "matrix" ? parts[0]!.shape[1]! : parts.reduce((sum, part) => sum + part.shape[0]!, 0);
  const rows = kind === "matrix" ? parts.reduce((sum, part) => sum + part.shape[0]!, 0) : 1;
  return weights.push({ kind, rows, cols, parts }) - 1;
}

/** The add at the end of a half layer; after the last of a layer comes the next one's `hook_resid_pre`. */
function residualAdd(spec: DecoderSpec, layer: number, in_kind: SiteKind, kind: SiteKind): Op {
  const sites = [site(spec, layer, kind)];
  if (kind === "hook_resid_post" && layer + 1 < spec.n_layers)
    sites.push(site(spec, layer + 1, "hook_resid_pre"));
  return { op: "residual_add", in: "delta", into: "h", in_site: site(spec, layer, in_kind), sites };
}

function site(spec: DecoderSpec, layer: number, kind: SiteKind): SiteId {
  const name: Site = `blocks.${layer}.${kind}`;
  return siteId(spec, name);
}
