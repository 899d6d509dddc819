import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, norm, readActivation, readSizes, rmsNorm } from "./common.ts";

/** GLM-4-0414 (`Glm4ForCausalLM`): GLM-4-9B with a norm after attention and after the MLP, too. */
export function glm4(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_kv_heads: 2, d_head: 128, n_ctx: 131_072 });
  const has = { qkv_bias: config.bool("attention_bias", true), fused_mlp: true };
  return decoder(
    config,
    sizes,
    {
      family: "glm4",
      norm: rmsNorm(config, 1.5625e-7),
      activation: readActivation(config, "hidden_act", "silu"),
      ropes: [readRope(config, sizes.d_head, { partial: 0.5 })],
      rope_layout: "interleaved",
    },
    {
      layer: (prefix) => ({
        ...gatedLayer(prefix, sizes, has),
        attn_post_norm: norm(`${prefix}.post_self_attn_layernorm`, sizes.d_model),
        mlp_post_norm: norm(`${prefix}.post_mlp_layernorm`, sizes.d_model),
      }),
    },
  );
}
