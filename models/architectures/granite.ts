import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, readActivation, readSizes, rmsNorm } from "./common.ts";

/** Granite 3 (`GraniteForCausalLM`): Llama with factors on embedding, attention, residual adds and logits. */
export function granite(config: ConfigReader): Decoder {
  const sizes = readSizes(config);
  const bias = config.bool("attention_bias", false);
  const has = { qkv_bias: bias, attn_out_bias: bias, mlp_bias: config.bool("mlp_bias", false) };
  return decoder(
    config,
    sizes,
    {
      family: "granite",
      norm: rmsNorm(config),
      activation: readActivation(config, "hidden_act", "silu"),
      attn_scale: config.positive("attention_multiplier", 1),
      embed_scale: config.positive("embedding_multiplier", 1),
      residual_scale: config.positive("residual_multiplier", 1),
      logit_scale: 1 / config.positive("logits_scaling", 1),
      ropes: [readRope(config, sizes.d_head)],
    },
    { layer: (prefix) => gatedLayer(prefix, sizes, has) },
  );
}
