import type { ConfigReader } from "../config.ts";
import { show } from "../errors.ts";
import type { DecoderSpec, LayerTensors, TensorSpec } from "../spec.ts";

/** The sizes every decoder has. */
export type Sizes = Pick<
  DecoderSpec,
  "d_model" | "n_layers" | "n_heads" | "n_kv_heads" | "d_head" | "d_mlp" | "d_vocab" | "n_ctx"
>;

/** Reads the sizes under the names most configs use. `d_head` is the family's default where none is written. */
export function readSizes(config: ConfigReader, defaults: { d_head?: number } = {}): Sizes {
  const d_model = config.int("hidden_size");
  const n_heads = config.int("num_attention_heads");
  const n_kv_heads = config.int("num_key_value_heads", n_heads);
  if (n_heads % n_kv_heads !== 0) {
    config.refuse("num_key_value_heads", n_kv_heads, `a divisor of num_attention_heads (${n_heads})`);
  }
  if (!config.has("head_dim") && defaults.d_head === undefined && d_model % n_heads !== 0) {
    config.refuse(
      "hidden_size",
      d_model,
      `a multiple of num_attention_heads (${show(n_heads)}), or head_dim given`,
    );
  }
  return {
    d_model,
    n_heads,
    n_kv_heads,
    n_layers: config.int("num_hidden_layers"),
    d_head: config.int("head_dim", defaults.d_head ?? Math.floor(d_model / n_heads)),
    d_mlp: config.int("intermediate_size"),
    d_vocab: config.int("vocab_size"),
    n_ctx: config.int("max_position_embeddings", 2048),
  };
}

/** `{name}.weight` [rows, cols]. */
export function matrix(name: string, rows: number, cols: number): TensorSpec {
  return { name: `${name}.weight`, shape: [rows, cols] };
}

/** A tensor of one dimension, by its whole name. */
export function vector(name: string, length: number): TensorSpec {
  return { name, shape: [length] };
}

/** The layer most families share: pre-norm attention and a gated MLP, in Llama's names. */
export function gatedLayer(
  prefix: string,
  sizes: Sizes,
  has: { attention_bias: boolean; attn_out_bias: boolean; mlp_bias: boolean; qk_norm: boolean },
): LayerTensors {
  const { d_model, d_mlp, d_head } = sizes;
  const d_q = sizes.n_heads * d_head;
  const d_kv = sizes.n_kv_heads * d_head;
  const attn = `${prefix}.self_attn`;
  const mlp = `${prefix}.mlp`;
  const bias = (name: string, length: number) => vector(`${name}.bias`, length);
  return {
    attn_norm: vector(`${prefix}.input_layernorm.weight`, d_model),
    qkv: [
      matrix(`${attn}.q_proj`, d_q, d_model),
      matrix(`${attn}.k_proj`, d_kv, d_model),
      matrix(`${attn}.v_proj`, d_kv, d_model),
    ],
    qkv_bias: has.attention_bias
      ? [bias(`${attn}.q_proj`, d_q), bias(`${attn}.k_proj`, d_kv), bias(`${attn}.v_proj`, d_kv)]
      : null,
    q_norm: has.qk_norm ? vector(`${attn}.q_norm.weight`, d_head) : null,
    k_norm: has.qk_norm ? vector(`${attn}.k_norm.weight`, d_head) : null,
    attn_out: matrix(`${attn}.o_proj`, d_model, d_q),
    attn_out_bias: has.attn_out_bias ? bias(`${attn}.o_proj`, d_model) : null,
    mlp_norm: vector(`${prefix}.post_attention_layernorm.weight`, d_model),
    gate_up: [matrix(`${mlp}.gate_proj`, d_mlp, d_model), matrix(`${mlp}.up_proj`, d_mlp, d_model)],
    gate_up_bias: has.mlp_bias ? [bias(`${mlp}.gate_proj`, d_mlp), bias(`${mlp}.up_proj`, d_mlp)] : null,
    mlp_out: matrix(`${mlp}.down_proj`, d_model, d_mlp),
    mlp_out_bias: has.mlp_bias ? bias(`${mlp}.down_proj`, d_model) : null,
  };
}
