import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, plainMlp, readActivation, readSizes, rmsNorm } from "./common.ts";

/** Arcee's AFM (`ArceeForCausalLM`): Llama with an MLP without gate, relu squared. */
export function arcee(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_ctx: 4096 });
  const bias = config.bool("attention_bias", false);
  const mlp_bias = config.bool("mlp_bias", false);
  return decoder(
    config,
    sizes,
    {
      family: "arcee",
      norm: rmsNorm(config, 1e-5),
      activation: readActivation(config, "hidden_act", "relu2"),
      gated: false,
      ropes: [readRope(config, sizes.d_head)],
    },
    {
      layer: (prefix) => ({
        ...gatedLayer(prefix, sizes, { qkv_bias: bias, attn_out_bias: bias }),
        mlp: plainMlp(`${prefix}.mlp`, "up_proj", "down_proj", sizes, mlp_bias),
      }),
    },
  );
}
