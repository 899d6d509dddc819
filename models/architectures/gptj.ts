import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder, LayerTensors } from "../spec.ts";
import {
  decoder,
  layerNorm,
  matrix,
  norm,
  plainMlp,
  readActivation,
  readGpt2Sizes,
  type Sizes,
} from "./common.ts";

/** GPT-J (`GPTJForCausalLM`): parallel blocks of one layer norm, a part of each head rotated, a head with a bias. */
export function gptj(config: ConfigReader): Decoder {
  const sizes = readGpt2Sizes(config, {
    d_model: 4096,
    n_layers: 28,
    n_heads: 16,
    d_vocab: 50_400,
    n_ctx: 2048,
  });
  const d_rot = config.raw.rotary_dim === null ? null : config.int("rotary_dim", 64);
  if (d_rot === null || d_rot > sizes.d_head) {
    return config.refuse("rotary_dim", d_rot, `a number up to ${sizes.d_head}, a head's dimensions`);
  }
  return decoder(
    config,
    sizes,
    {
      family: "gptj",
      norm: layerNorm(config, "layer_norm_epsilon"),
      block: "parallel",
      activation: readActivation(config, "activation_function", "gelu_new"),
      gated: false,
      ropes: [readRope(config, d_rot)],
      rope_layout: "interleaved",
    },
    {
      layers: "transformer.h",
      layer: (prefix) => gptjLayer(prefix, sizes),
      embed: "transformer.wte",
      final_norm: norm("transformer.ln_f", sizes.d_model, { bias: true }),
      head_bias: true,
    },
  );
}

function gptjLayer(prefix: string, sizes: Sizes): LayerTensors {
  const { d_model } = sizes;
  const attn = `${prefix}.attn`;
  return {
    attn_norm: norm(`${prefix}.ln_1`, d_model, { bias: true }),
    qkv: ["q_proj", "k_proj", "v_proj"].map((name) => matrix(`${attn}.${name}`, d_model, d_model)),
    qkv_bias: null,
    q_norm: null,
    k_norm: null,
    attn_out: matrix(`${attn}.out_proj`, d_model, d_model),
    attn_out_bias: null,
    attn_post_norm: null,
    mlp_norm: null,
    mlp: plainMlp(`${prefix}.mlp`, "fc_in", "fc_out", sizes, true),
    mlp_post_norm: null,
  };
}
