import type { ConfigReader } from "../config.ts";
import { readLayeredRopes } from "../rope.ts";
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
import { textPart } from "./multimodal.ts";

/** What configs leave out, the text part of a multimodal one above all. */
const DEFAULTS = {
  d_model: 2304,
  n_layers: 26,
  n_heads: 8,
  n_kv_heads: 4,
  d_head: 256,
  d_mlp: 9216,
  d_vocab: 262_208,
  n_ctx: 131_072,
};

/** The text part of a multimodal Gemma 3 (`Gemma3ForConditionalGeneration`). */
export function gemma3(config: ConfigReader): Decoder {
  return textPart(config, gemma3Text);
}

/**
 * Gemma 3 (`Gemma3ForCausalLM`): as Gemma 2 without softcaps, with norms of q and k, and five layers of a sliding
 * window and a rope of their own for each of full attention.
 */
export function gemma3Text(config: ConfigReader): Decoder {
  refuseBidirectional(config);
  const sizes = readSizes(config, DEFAULTS);
  const { d_model, n_layers } = sizes;
  const bias = config.bool("attention_bias", false);
  const ropes = readLayeredRopes(config, sizes.d_head, {
    full: { theta: 1e6 },
    sliding: { theta: 1e4, theta_field: "rope_local_base_freq" },
  });
  const every = config.int("sliding_window_pattern", 6);
  const slides = (layer: number) => (layer + 1) % every !== 0;
  const add = { add: 1 };
  return decoder(
    config,
    sizes,
    {
      family: "gemma3_text",
      norm: rmsNorm(config),
      activation: readActivation(config, "hidden_activation", "gelu_pytorch_tanh"),
      qk_norm: "head",
      attn_scale: config.positive("query_pre_attn_scalar", 256) ** -0.5,
      embed_scale: Math.sqrt(d_model),
      logit_softcap: readSoftcap(config, "final_logit_softcapping", null),
      ropes: [ropes.full, ropes.sliding],
      layers: readLayers(config, n_layers, readWindow(config, 4096), slides, (local) => (local ? 1 : 0)),
      tied_embeddings: config.bool("tie_word_embeddings", true),
    },
    {
      layer: (prefix) => ({
        ...gatedLayer(prefix, sizes, { qkv_bias: bias, attn_out_bias: bias, qk_norm: true, norm_add: 1 }),
        attn_post_norm: norm(`${prefix}.post_attention_layernorm`, d_model, add),
        mlp_norm: norm(`${prefix}.pre_feedforward_layernorm`, d_model, add),
        mlp_post_norm: norm(`${prefix}.post_feedforward_layernorm`, d_model, add),
      }),
      final_norm: norm("model.norm", d_model, add),
    },
  );
}
