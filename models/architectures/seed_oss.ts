import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, readActivation, readSizes, rmsNorm } from "./common.ts";

/** Seed-OSS (`SeedOssForCausalLM`): Llama whose biases of q, k, v and of o are switched apart. */
export function seedOss(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_kv_heads: 8, d_head: 128, n_ctx: 524_288 });
  const has = {
    qkv_bias: config.bool("attention_bias", true),
    attn_out_bias: config.bool("attention_out_bias", false),
    mlp_bias: config.bool("mlp_bias", false),
  };
  return decoder(
    config,
    sizes,
    {
      family: "seed_oss",
      norm: rmsNorm(config),
      activation: readActivation(config, "hidden_act", "silu"),
      ropes: [readRope(config, sizes.d_head)],
    },
    { layer: (prefix) => gatedLayer(prefix, sizes, has) },
  );
}
