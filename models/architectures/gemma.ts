import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import {
  decoder,
  gatedLayer,
  norm,
  readActivation,
  readSizes,
  refuseBidirectional,
  rmsNorm,
} from "./common.ts";

/** Gemma 1 (`GemmaForCausalLM`): a scaled embedding, and norms whose files hold their weights less 1. */
export function gemma(config: ConfigReader): Decoder {
  refuseBidirectional(config);
  const sizes = readSizes(config, { d_head: 256, n_kv_heads: 16, n_ctx: 8192 });
  const bias = config.bool("attention_bias", false);
  const has = { qkv_bias: bias, attn_out_bias: bias, norm_add: 1 };
  const activation = readActivation(config, "hidden_act", "gelu_pytorch_tanh");
  return decoder(
    config,
    sizes,
    {
      family: "gemma",
      norm: rmsNorm(config),
      // Published files say "gelu" and mean its approximation.
      activation: activation === "gelu" ? "gelu_tanh" : activation,
      embed_scale: Math.sqrt(sizes.d_model),
      ropes: [readRope(config, sizes.d_head)],
      tied_embeddings: config.bool("tie_word_embeddings", true),
    },
    {
      layer: (prefix) => gatedLayer(prefix, sizes, has),
      final_norm: norm("model.norm", sizes.d_model, { add: 1 }),
    },
  );
}
