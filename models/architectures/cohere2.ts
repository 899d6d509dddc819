import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import {
  decoder,
  gatedLayer,
  layerNorm,
  readActivation,
  readLayers,
  readSizes,
  readWindow,
} from "./common.ts";

/** Command-R7B and Command-A (`Cohere2ForCausalLM`): Command-R whose layers slide with rope, or see all without. */
export function cohere2(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_ctx: 8192 });
  const bias = config.bool("attention_bias", false);
  const every = config.int("sliding_window_pattern", 4);
  const slides = (layer: number) => (layer + 1) % every !== 0;
  const window = readWindow(config, 4096);
  return decoder(
    config,
    sizes,
    {
      family: "cohere2",
      norm: layerNorm(config, "layer_norm_eps"),
      block: "parallel",
      activation: readActivation(config, "hidden_act", "silu"),
      logit_scale: config.positive("logit_scale", 0.0625),
      ropes: [readRope(config, sizes.d_head)],
      rope_layout: "interleaved",
      layers: readLayers(config, sizes.n_layers, window, slides, (local) => (local ? 0 : null)),
      tied_embeddings: config.bool("tie_word_embeddings", true),
    },
    {
      layer: (prefix) => ({
        ...gatedLayer(prefix, sizes, { qkv_bias: bias, attn_out_bias: bias }),
        mlp_norm: null,
      }),
    },
  );
}
