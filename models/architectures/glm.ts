import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, readActivation, readSizes, rmsNorm } from "./common.ts";

/** GLM-4-9B (`GlmForCausalLM`): half of each head rotated, interleaved; gate|up in one tensor. */
export function glm(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_kv_heads: 2, d_head: 128, n_ctx: 131_072 });
  const has = { qkv_bias: config.bool("attention_bias", true), fused_mlp: true };
  return decoder(
    config,
    sizes,
    {
      family: "glm",
      norm: rmsNorm(config, 1.5625e-7),
      activation: readActivation(config, "hidden_act", "silu"),
      ropes: [readRope(config, sizes.d_head, { partial: 0.5 })],
      rope_layout: "interleaved",
    },
    { layer: (prefix) => gatedLayer(prefix, sizes, has) },
  );
}
