import { itemAt, present } from "./certain.ts";
import { type Site, type SiteId, type SiteKind, siteId } from "./hooks.ts";
import type { BufferName, Op, Program, WeightId, WeightSlot } from "./program.ts";
import type {
  Decoder,
  DecoderSpec,
  ExpertsSpec,
  ExpertTensors,
  LayerTensors,
  MlpTensors,
  NormTensors,
  TensorSpec,
} from "./spec.ts";

/** Builds the forward pass of a decoder. */
export function buildProgram({ spec, tensors }: Decoder): Program {
  const build = new Builder(spec);
  const embed = build.matrix([tensors.embed]);
  const positions = tensors.positions === null ? null : build.matrix([tensors.positions]);
  const sites = [build.site(0, "hook_resid_pre")];
  build.ops.push({ op: "embed", weight: embed, positions, scale: spec.embed_scale, out: "h", sites });
  for (const [layer, names] of tensors.layers.entries()) build.layer(layer, names);
  build.ops.push({ op: "gather", in: "h", out: "last" });
  build.norm(tensors.final_norm, "last", "x");
  const weight = spec.tied_embeddings ? embed : build.matrix([tensors.head]);
  const bias = build.optional(tensors.head_bias && [tensors.head_bias]);
  const { logit_scale: scale, logit_softcap: softcap } = spec;
  build.ops.push(
    { op: "logits", in: "x", out: "logits", weight, bias, scale, softcap },
    { op: "sample", in: "logits" },
  );
  const { d_model, d_vocab, n_layers, n_kv_heads, d_head } = spec;
  const { weights, ops } = build;
  const ropes = spec.ropes.map((rope) => rope.d_rot);
  return { d_model, d_vocab, n_layers, n_kv_heads, d_head, buffers: bufferWidths(spec), weights, ropes, ops };
}

/** The lists that grow, layer by layer. */
class Builder {
  readonly weights: WeightSlot[] = [];
  readonly ops: Op[] = [];
  readonly #spec: DecoderSpec;

  constructor(spec: DecoderSpec) {
    this.#spec = spec;
  }

  layer(layer: number, names: LayerTensors): void {
    const parallel = this.#spec.block === "parallel";
    const read = names.attn_norm === null ? "h" : "x";
    this.norm(names.attn_norm, "h", read);
    this.#attention(layer, names, read);
    this.norm(names.attn_post_norm, "delta", "delta");
    // A parallel MLP's input is taken before anything is added to h.
    const mlp_read = names.mlp_norm !== null ? "x" : parallel ? read : "h";
    if (parallel) this.norm(names.mlp_norm, "h", mlp_read);
    this.#add(layer, "hook_attn_out", parallel ? [] : [this.site(layer, "hook_resid_mid")]);
    if (!parallel) this.norm(names.mlp_norm, "h", mlp_read);
    const { experts } = itemAt(this.#spec.layers, layer);
    if ("out_bias" in names.mlp) this.#dense(names.mlp, mlp_read);
    else this.#experts(names.mlp, present(experts, `the experts of layer ${layer}`));
    this.norm(names.mlp_post_norm, "delta", "delta");
    const is_last = layer + 1 === this.#spec.n_layers;
    // After the last add of a layer comes the next one's hook_resid_pre.
    const next = is_last ? [] : [this.site(layer + 1, "hook_resid_pre")];
    this.#add(layer, "hook_mlp_out", [this.site(layer, "hook_resid_post"), ...next]);
  }

  norm(names: NormTensors | null, from: BufferName, out: BufferName): void {
    if (names === null) return;
    const { kind, eps } = this.#spec.norm;
    const weight = this.vector([names.weight]);
    const bias = this.optional(names.bias && [names.bias]);
    this.ops.push({ op: "norm", kind, in: from, out, columns: null, weight, bias, eps });
  }

  matrix(parts: TensorSpec[], count = 1): WeightId {
    const [, cols] = matrixSize(itemAt(parts, 0));
    const rows = parts.reduce((sum, part) => sum + matrixSize(part)[0], 0);
    return this.weights.push({ kind: "matrix", count, rows: rows / count, cols, parts }) - 1;
  }

  site(layer: number, kind: SiteKind): SiteId {
    const name: Site = `blocks.${layer}.${kind}`;
    return siteId(this.#spec, name);
  }

  vector(parts: TensorSpec[]): WeightId {
    const cols = parts.reduce((sum, part) => sum + vectorSize(part), 0);
    return this.weights.push({ kind: "vector", count: 1, rows: 1, cols, parts }) - 1;
  }

  optional(parts: TensorSpec[] | null): WeightId | null {
    return parts === null ? null : this.vector(parts);
  }

  #attention(layer: number, names: LayerTensors, read: BufferName): void {
    const { n_heads, n_kv_heads, d_head, norm, rope_layout: layout, attn_softcap, q_scale } = this.#spec;
    const { rope, window, attn_scale = this.#spec.attn_scale } = itemAt(this.#spec.layers, layer);
    this.#matmul(read, "qkv", names.qkv, names.qkv_bias);
    const [q, k] = [this.optional(names.q_norm), this.optional(names.k_norm)];
    const by_row = this.#spec.qk_norm === "row";
    if (by_row) {
      this.#columnNorm(present(q, "a norm of q"), { start: 0, end: n_heads * d_head });
      const end = (n_heads + n_kv_heads) * d_head;
      this.#columnNorm(present(k, "a norm of k"), { start: n_heads * d_head, end });
    }
    const [q_norm, k_norm] = by_row ? [null, null] : [q, k];
    const { kind, eps } = norm;
    this.ops.push(
      { op: "rope", buffer: "qkv", n_heads, rope, layout, norm: kind, q_norm, k_norm, eps, q_scale },
      { op: "kv_append", in: "qkv", layer },
      {
        op: "attention",
        in: "qkv",
        out: "attn",
        layer,
        n_heads,
        scale: attn_scale,
        softcap: attn_softcap,
        window,
      },
    );
    this.#matmul("attn", "delta", [names.attn_out], names.attn_out_bias && [names.attn_out_bias]);
  }

  #columnNorm(weight: WeightId, columns: { start: number; end: number }): void {
    const { kind, eps } = this.#spec.norm;
    this.ops.push({ op: "norm", kind, in: "qkv", out: "qkv", columns, weight, bias: null, eps });
  }

  #dense(names: MlpTensors, read: BufferName): void {
    const { activation, gated } = this.#spec;
    this.#matmul(read, "gate_up", names.in, names.in_bias);
    this.ops.push({ op: gated ? "gated_act" : "act", in: "gate_up", out: "act", activation });
    this.#matmul("act", "delta", [names.out], names.out_bias && [names.out_bias]);
  }

  #experts(names: ExpertTensors, { n_experts, top_k, renormalise }: ExpertsSpec): void {
    const { activation } = this.#spec;
    const router = this.matrix([names.router]);
    const [gate_up, down] = [this.matrix(names.in, n_experts), this.matrix(names.out, n_experts)];
    this.ops.push(
      { op: "router", in: "x", out: "routes", weight: router, top_k, renormalise },
      { op: "experts", in: "x", routes: "routes", out: "delta", gate_up, down, top_k, activation },
    );
  }

  #matmul(from: BufferName, out: BufferName, parts: TensorSpec[], bias: TensorSpec[] | null): void {
    const weight = this.matrix(parts);
    this.ops.push({ op: "matmul", in: from, out, weight, bias: this.optional(bias) });
  }

  #add(layer: number, in_kind: SiteKind, sites: SiteId[]): void {
    const in_site = this.site(layer, in_kind);
    const { residual_scale: scale } = this.#spec;
    this.ops.push({ op: "residual_add", in: "delta", into: "h", scale, in_site, sites });
  }
}

/** [rows, cols] of a matrix once it is loaded. */
function matrixSize({ shape, transposed, rows }: TensorSpec): [number, number] {
  const [first, second] = [itemAt(shape, 0), itemAt(shape, 1)];
  const [height, width] = transposed ? [second, first] : [first, second];
  return [rows === undefined ? height : rows.end - rows.start, width];
}

function vectorSize({ shape, rows }: TensorSpec): number {
  if (rows !== undefined) return rows.end - rows.start;
  return shape.reduce((product, n) => product * n, 1);
}

function bufferWidths(spec: DecoderSpec): Record<BufferName, number> {
  const { d_model, n_heads, n_kv_heads, d_head, d_mlp, d_vocab, layers } = spec;
  const has_dense = layers.some(({ experts }) => experts === null);
  return {
    h: d_model,
    x: d_model,
    qkv: (n_heads + 2 * n_kv_heads) * d_head,
    attn: n_heads * d_head,
    gate_up: has_dense ? (spec.gated ? 2 : 1) * d_mlp : 0,
    act: has_dense ? d_mlp : 0,
    routes: Math.max(0, ...layers.map(({ experts }) => 2 * (experts?.top_k ?? 0))),
    delta: d_model,
    last: d_model,
    logits: d_vocab,
  };
}
