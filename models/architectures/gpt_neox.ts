import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder, LayerTensors, TensorSpec } from "../spec.ts";
import {
  decoder,
  layerNorm,
  matrix,
  norm,
  plainMlp,
  readActivation,
  readSizes,
  repeat,
  type Sizes,
  vector,
} from "./common.ts";

/** GPT-NeoX and Pythia (`GPTNeoXForCausalLM`): parallel blocks, layer norms, biases everywhere. */
export function gptNeox(config: ConfigReader): Decoder {
  const read = readSizes(config);
  const sizes = { ...read, n_kv_heads: read.n_heads };
  const bias = config.bool("attention_bias", true);
  const rope = { partial: 0.25, theta_field: "rotary_emb_base", partial_field: "rotary_pct" };
  return decoder(
    config,
    sizes,
    {
      family: "gpt_neox",
      norm: layerNorm(config, "layer_norm_eps"),
      block: config.bool("use_parallel_residual", true) ? "parallel" : "sequential",
      activation: readActivation(config, "hidden_act", "gelu"),
      gated: false,
      ropes: [readRope(config, sizes.d_head, rope)],
    },
    {
      layers: "gpt_neox.layers",
      layer: (prefix) => neoxLayer(prefix, sizes, bias),
      embed: "gpt_neox.embed_in",
      final_norm: norm("gpt_neox.final_layer_norm", sizes.d_model, { bias: true }),
      head: "embed_out",
    },
  );
}

function neoxLayer(prefix: string, sizes: Sizes, has_bias: boolean): LayerTensors {
  const { d_model } = sizes;
  const attention = `${prefix}.attention`;
  const fused = matrix(`${attention}.query_key_value`, 3 * d_model, d_model);
  const fused_bias = vector(`${attention}.query_key_value.bias`, 3 * d_model);
  const norms = { bias: true };
  return {
    attn_norm: norm(`${prefix}.input_layernorm`, d_model, norms),
    qkv: byKind(fused, sizes),
    qkv_bias: has_bias ? byKind(fused_bias, sizes) : null,
    q_norm: null,
    k_norm: null,
    attn_out: matrix(`${attention}.dense`, d_model, d_model),
    attn_out_bias: has_bias ? vector(`${attention}.dense.bias`, d_model) : null,
    attn_post_norm: null,
    mlp_norm: norm(`${prefix}.post_attention_layernorm`, d_model, norms),
    mlp: plainMlp(`${prefix}.mlp`, "dense_h_to_4h", "dense_4h_to_h", sizes, true),
    mlp_post_norm: null,
  };
}

/** The file has q, k and v of one head after the other; the program wants all q, then all k, then all v. */
function byKind(fused: TensorSpec, { n_heads, d_head }: Sizes): TensorSpec[] {
  return repeat(3 * n_heads, (i) => {
    const start = ((i % n_heads) * 3 + Math.floor(i / n_heads)) * d_head;
    return { ...fused, rows: { start, end: start + d_head } };
  });
}
