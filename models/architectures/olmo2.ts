import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, postNormLayer, readActivation, readSizes, rmsNorm } from "./common.ts";

/** OLMo 2 (`Olmo2ForCausalLM`): norms after attention and MLP alone, and over whole rows of q and k. */
export function olmo2(config: ConfigReader): Decoder {
  const sizes = readSizes(config);
  const bias = config.bool("attention_bias", false);
  return decoder(
    config,
    sizes,
    {
      family: "olmo2",
      norm: rmsNorm(config, 1e-5),
      activation: readActivation(config, "hidden_act", "silu"),
      qk_norm: "row",
      ropes: [readRope(config, sizes.d_head)],
    },
    { layer: (prefix) => postNormLayer(prefix, sizes, { qkv_bias: bias, attn_out_bias: bias }) },
  );
}
