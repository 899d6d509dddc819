import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import {
  decoder,
  gatedLayer,
  readActivation,
  readLayers,
  readSizes,
  readSwitchedWindow,
  rmsNorm,
} from "./common.ts";

/** SmolLM 3 (`SmolLM3ForCausalLM`): Llama, every fourth layer of which has no rope. */
export function smollm3(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_kv_heads: 4, n_ctx: 32_768 });
  const bias = config.bool("attention_bias", false);
  const has = { qkv_bias: bias, attn_out_bias: bias, mlp_bias: config.bool("mlp_bias", false) };
  // Named for the layers without: 1 means that a layer has rope.
  const written = config.has("no_rope_layers") ? config.numbers("no_rope_layers", sizes.n_layers) : undefined;
  const every = config.int("no_rope_layer_interval", 4);
  const turns = (layer: number) => (written === undefined ? (layer + 1) % every !== 0 : written[layer] !== 0);
  const window = readSwitchedWindow(config);
  const slides = (layer: number) => !turns(layer);
  return decoder(
    config,
    sizes,
    {
      family: "smollm3",
      norm: rmsNorm(config),
      activation: readActivation(config, "hidden_act", "silu"),
      ropes: [readRope(config, sizes.d_head, { theta: 2e6 })],
      layers: readLayers(config, sizes.n_layers, window, slides, (_, layer) => (turns(layer) ? 0 : null)),
      tied_embeddings: config.bool("tie_word_embeddings", true),
    },
    { layer: (prefix) => gatedLayer(prefix, sizes, has) },
  );
}
