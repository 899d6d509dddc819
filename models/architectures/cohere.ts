import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, layerNorm, readActivation, readSizes } from "./common.ts";

/** Command-R (`CohereForCausalLM`): parallel blocks of one layer norm, interleaved rope, scaled logits. */
export function cohere(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_ctx: 8192 });
  const { n_heads, n_kv_heads, d_head } = sizes;
  const bias = config.bool("attention_bias", false);
  const qk_norm = config.bool("use_qk_norm", false);
  return decoder(
    config,
    sizes,
    {
      family: "cohere",
      norm: layerNorm(config, "layer_norm_eps"),
      block: "parallel",
      activation: readActivation(config, "hidden_act", "silu"),
      qk_norm: qk_norm ? "head" : "none",
      logit_scale: config.positive("logit_scale", 0.0625),
      ropes: [readRope(config, d_head, { theta: 500_000 })],
      rope_layout: "interleaved",
      tied_embeddings: config.bool("tie_word_embeddings", true),
    },
    {
      layer: (prefix) => ({
        ...gatedLayer(prefix, sizes, { qkv_bias: bias, attn_out_bias: bias }),
        // Each head has a norm of its own.
        q_norm: qk_norm ? [{ name: `${prefix}.self_attn.q_norm.weight`, shape: [n_heads, d_head] }] : null,
        k_norm: qk_norm ? [{ name: `${prefix}.self_attn.k_norm.weight`, shape: [n_kv_heads, d_head] }] : null,
        mlp_norm: null,
      }),
    },
  );
}
