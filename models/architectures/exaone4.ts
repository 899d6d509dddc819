import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import {
  decoder,
  postNormLayer,
  readActivation,
  readLayers,
  readSizes,
  readWindow,
  rmsNorm,
} from "./common.ts";

/**
 * EXAONE 4 (`Exaone4ForCausalLM`): norms after attention and MLP alone, and of each head of q and k. Where some layers
 * slide, those that see all have no rope.
 */
export function exaone4(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_kv_heads: 32 });
  const window = readWindow(config, 4096);
  const every = window === null || config.has("layer_types") ? 1 : config.int("sliding_window_pattern", 4);
  const slides = (layer: number) => (layer + 1) % every !== 0;
  const rope = (local: boolean) => (window === null || local ? 0 : null);
  return decoder(
    config,
    sizes,
    {
      family: "exaone4",
      norm: rmsNorm(config, 1e-5),
      activation: readActivation(config, "hidden_act", "silu"),
      qk_norm: "head",
      ropes: [readRope(config, sizes.d_head)],
      layers: readLayers(config, sizes.n_layers, window, slides, rope),
    },
    { layer: (prefix) => postNormLayer(prefix, sizes, { qk_norm: true }) },
  );
}
