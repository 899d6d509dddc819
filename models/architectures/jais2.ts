import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, layerNorm, norm, plainMlp, readActivation, readSizes } from "./common.ts";

/** Jais 2 (`Jais2ForCausalLM`): Llama with layer norms, biases, and an MLP without gate, relu squared. */
export function jais2(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_ctx: 8192 });
  const bias = config.bool("attention_bias", true);
  const mlp_bias = config.bool("mlp_bias", true);
  return decoder(
    config,
    sizes,
    {
      family: "jais2",
      norm: layerNorm(config, "layer_norm_eps"),
      activation: readActivation(config, "hidden_act", "relu2"),
      gated: false,
      ropes: [readRope(config, sizes.d_head)],
    },
    {
      layer: (prefix) => ({
        ...gatedLayer(prefix, sizes, { qkv_bias: bias, attn_out_bias: bias, norm_bias: true }),
        mlp: plainMlp(`${prefix}.mlp`, "up_proj", "down_proj", sizes, mlp_bias),
      }),
      final_norm: norm("model.norm", sizes.d_model, { bias: true }),
    },
  );
}
