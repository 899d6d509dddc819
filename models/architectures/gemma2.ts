import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import {
  decoder,
  gatedLayer,
  norm,
  readActivation,
  readLayers,
  readSizes,
  readSoftcap,
  readWindow,
  refuseBidirectional,
  rmsNorm,
} from "./common.ts";

/**
 * Gemma 2 (`Gemma2ForCausalLM`): norms before and after attention and MLP (the files hold their weights less 1),
 * softcaps, a scaled embedding, and every other layer of a sliding window.
 */
export function gemma2(config: ConfigReader): Decoder {
  refuseBidirectional(config);
  const sizes = readSizes(config, { n_kv_heads: 4, d_head: 256, n_ctx: 8192 });
  const { d_model, n_layers } = sizes;
  const bias = config.bool("attention_bias", false);
  const add = { add: 1 };
  return decoder(
    config,
    sizes,
    {
      family: "gemma2",
      norm: rmsNorm(config),
      activation: readActivation(config, "hidden_activation", "gelu_pytorch_tanh"),
      attn_scale: config.positive("query_pre_attn_scalar", 256) ** -0.5,
      attn_softcap: readSoftcap(config, "attn_logit_softcapping", 50),
      embed_scale: Math.sqrt(d_model),
      logit_softcap: readSoftcap(config, "final_logit_softcapping", 30),
      ropes: [readRope(config, sizes.d_head)],
      layers: readLayers(config, n_layers, readWindow(config, 4096), (layer) => layer % 2 === 0),
      tied_embeddings: config.bool("tie_word_embeddings", true),
    },
    {
      layer: (prefix) => ({
        ...gatedLayer(prefix, sizes, { qkv_bias: bias, attn_out_bias: bias, norm_add: 1 }),
        attn_post_norm: norm(`${prefix}.post_attention_layernorm`, d_model, add),
        mlp_norm: norm(`${prefix}.pre_feedforward_layernorm`, d_model, add),
        mlp_post_norm: norm(`${prefix}.post_feedforward_layernorm`, d_model, add),
      }),
      final_norm: norm("model.norm", d_model, add),
    },
  );
}
