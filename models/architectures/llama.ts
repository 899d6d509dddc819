import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, readActivation, readSizes, rmsNorm } from "./common.ts";

/** Llama 2, 3, 3.1, 3.2, 3.3 and what is shaped like them (`LlamaForCausalLM`: SmolLM2, ...). */
export function llama(config: ConfigReader): Decoder {
  const sizes = readSizes(config);
  const bias = config.bool("attention_bias", false);
  const has = { qkv_bias: bias, attn_out_bias: bias, mlp_bias: config.bool("mlp_bias", false) };
  return decoder(
    config,
    sizes,
    {
      family: "llama",
      norm: rmsNorm(config),
      activation: readActivation(config, "hidden_act", "silu"),
      ropes: [readRope(config, sizes.d_head)],
    },
    { layer: (prefix) => gatedLayer(prefix, sizes, has) },
  );
}
