import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, layerNorm, norm, plainMlp, readActivation, readSizes } from "./common.ts";

/**
 * Nemotron 3 and 4, and Minitron (`NemotronForCausalLM`): layer norms whose files hold their weights less 1, half of
 * each head turned, an MLP without gate, relu squared.
 */
export function nemotron(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_ctx: 4096 });
  const bias = config.bool("attention_bias", false);
  const mlp_bias = config.bool("mlp_bias", false);
  return decoder(
    config,
    sizes,
    {
      family: "nemotron",
      norm: layerNorm(config, "norm_eps"),
      activation: readActivation(config, "hidden_act", "relu2"),
      gated: false,
      ropes: [readRope(config, sizes.d_head, { partial: 0.5 })],
    },
    {
      layer: (prefix) => ({
        ...gatedLayer(prefix, sizes, { qkv_bias: bias, attn_out_bias: bias, norm_bias: true, norm_add: 1 }),
        mlp: plainMlp(`${prefix}.mlp`, "up_proj", "down_proj", sizes, mlp_bias),
      }),
      final_norm: norm("model.norm", sizes.d_model, { bias: true, add: 1 }),
    },
  );
}
