import type { ConfigReader } from "../config.ts";
import type { Decoder, LayerTensors, TensorSpec } from "../spec.ts";
import {
  decoder,
  layerNorm,
  matrix,
  norm,
  readActivation,
  readGpt2Sizes,
  repeat,
  type Sizes,
  vector,
} from "./common.ts";

/** GPT-2 (`GPT2LMHeadModel`): learned positions, layer norms, matrices kept as [inputs, outputs]. */
export function gpt2(config: ConfigReader): Decoder {
  if (config.bool("add_cross_attention", false)) config.refuse("add_cross_attention", true, "false");
  const sizes = readGpt2Sizes(config, {
    d_model: 768,
    n_layers: 12,
    n_heads: 12,
    d_vocab: 50_257,
    n_ctx: 1024,
  });
  const { d_model, d_head, n_layers } = sizes;
  const attn_scale = config.bool("scale_attn_weights", true) ? d_head ** -0.5 : 1;
  const by_depth = config.bool("scale_attn_by_inverse_layer_idx", false);
  return decoder(
    config,
    sizes,
    {
      family: "gpt2",
      norm: layerNorm(config, "layer_norm_epsilon"),
      activation: readActivation(config, "activation_function", "gelu_new"),
      gated: false,
      ropes: [],
      attn_scale,
      layers: repeat(n_layers, (layer) => ({
        ...{ rope: null, window: null, experts: null },
        ...(by_depth ? { attn_scale: attn_scale / (layer + 1) } : {}),
      })),
      tied_embeddings: config.bool("tie_word_embeddings", true),
    },
    {
      layers: "transformer.h",
      layer: (prefix) => gpt2Layer(prefix, sizes),
      embed: "transformer.wte",
      positions: matrix("transformer.wpe", sizes.n_ctx, d_model),
      final_norm: norm("transformer.ln_f", d_model, { bias: true }),
    },
  );
}

function gpt2Layer(prefix: string, { d_model, d_mlp }: Sizes): LayerTensors {
  const transposed = (name: string, inputs: number, outputs: number): TensorSpec => ({
    ...matrix(`${prefix}.${name}`, inputs, outputs),
    transposed: true,
  });
  const bias = (name: string, length: number) => vector(`${prefix}.${name}.bias`, length);
  return {
    attn_norm: norm(`${prefix}.ln_1`, d_model, { bias: true }),
    qkv: [transposed("attn.c_attn", d_model, 3 * d_model)],
    qkv_bias: [bias("attn.c_attn", 3 * d_model)],
    q_norm: null,
    k_norm: null,
    attn_out: transposed("attn.c_proj", d_model, d_model),
    attn_out_bias: bias("attn.c_proj", d_model),
    attn_post_norm: null,
    mlp_norm: norm(`${prefix}.ln_2`, d_model, { bias: true }),
    mlp: {
      in: [transposed("mlp.c_fc", d_model, d_mlp)],
      in_bias: [bias("mlp.c_fc", d_mlp)],
      out: transposed("mlp.c_proj", d_mlp, d_model),
      out_bias: bias("mlp.c_proj", d_model),
    },
    mlp_post_norm: null,
  };
}
