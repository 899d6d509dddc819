import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import {
  decoder,
  gatedLayer,
  layerNorm,
  matrix,
  norm,
  plainMlp,
  readActivation,
  readSizes,
  vector,
} from "./common.ts";

/** Phi-1, 1.5 and 2 (`PhiForCausalLM`): parallel blocks of one layer norm, biases everywhere, the head included. */
export function phi(config: ConfigReader): Decoder {
  if (config.bool("qk_layernorm", false))
    config.refuse("qk_layernorm", true, "false: norms of q and k with biases are not run");
  const sizes = readSizes(config);
  const { d_model, n_heads, d_head } = sizes;
  return decoder(
    config,
    sizes,
    {
      family: "phi",
      norm: layerNorm(config, "layer_norm_eps"),
      block: "parallel",
      activation: readActivation(config, "hidden_act", "gelu_new"),
      gated: false,
      ropes: [readRope(config, d_head, { partial: 0.5 })],
    },
    {
      layer: (prefix) => ({
        ...gatedLayer(prefix, sizes, { qkv_bias: true, norm_bias: true }),
        attn_out: matrix(`${prefix}.self_attn.dense`, d_model, n_heads * d_head),
        attn_out_bias: vector(`${prefix}.self_attn.dense.bias`, d_model),
        mlp_norm: null,
        mlp: plainMlp(`${prefix}.mlp`, "fc1", "fc2", sizes, true),
      }),
      final_norm: norm("model.final_layernorm", d_model, { bias: true }),
      head_bias: true,
    },
  );
}
