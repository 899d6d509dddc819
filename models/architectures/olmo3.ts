import type { ConfigReader } from "../config.ts";
import { readLayeredRopes } from "../rope.ts";
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

/** OLMo 3 (`Olmo3ForCausalLM`): OLMo 2, three of four layers of which slide; rope is scaled in the others alone. */
export function olmo3(config: ConfigReader): Decoder {
  const sizes = readSizes(config);
  const bias = config.bool("attention_bias", false);
  const theta = { theta: 500_000 };
  const ropes = readLayeredRopes(config, sizes.d_head, { full: theta, sliding: theta });
  const slides = (layer: number) => (layer + 1) % 4 !== 0;
  const window = readWindow(config, 4096);
  return decoder(
    config,
    sizes,
    {
      family: "olmo3",
      norm: rmsNorm(config, 1e-5),
      activation: readActivation(config, "hidden_act", "silu"),
      qk_norm: "row",
      ropes: [ropes.full, ropes.sliding],
      layers: readLayers(config, sizes.n_layers, window, slides, (local) => (local ? 1 : 0)),
    },
    { layer: (prefix) => postNormLayer(prefix, sizes, { qkv_bias: bias, attn_out_bias: bias }) },
  );
}
