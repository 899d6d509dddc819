import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import {
  decoder,
  gatedLayer,
  layerNorm,
  norm,
  plainMlp,
  readActivation,
  readSizes,
  readWindow,
  repeat,
} from "./common.ts";

/** StarCoder 2 (`Starcoder2ForCausalLM`): layer norms, biases, an MLP without gate. */
export function starcoder2(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_kv_heads: 2, n_ctx: 4096 });
  const bias = config.bool("use_bias", true);
  const window = readWindow(config, null);
  return decoder(
    config,
    sizes,
    {
      family: "starcoder2",
      norm: layerNorm(config, "norm_epsilon"),
      activation: readActivation(config, "hidden_act", "gelu_pytorch_tanh"),
      gated: false,
      ropes: [readRope(config, sizes.d_head)],
      layers: repeat(sizes.n_layers, () => ({ rope: 0, window, experts: null })),
      tied_embeddings: config.bool("tie_word_embeddings", true),
    },
    {
      layer: (prefix) => ({
        ...gatedLayer(prefix, sizes, { qkv_bias: bias, attn_out_bias: bias, norm_bias: true }),
        mlp: plainMlp(`${prefix}.mlp`, "c_fc", "c_proj", sizes, bias),
      }),
      final_norm: norm("model.norm", sizes.d_model, { bias: true }),
    },
  );
}
