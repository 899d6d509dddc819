import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, readActivation, readLayers, readSizes, readWindow, rmsNorm } from "./common.ts";

/** Ministral 8B of 2024 (`MinistralForCausalLM`): Mistral, some layers of which slide. */
export function ministral(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_kv_heads: 8, n_ctx: 131_072 });
  return decoder(
    config,
    sizes,
    {
      family: "ministral",
      norm: rmsNorm(config),
      activation: readActivation(config, "hidden_act", "silu"),
      ropes: [readRope(config, sizes.d_head)],
      layers: readLayers(config, sizes.n_layers, readWindow(config, 4096)),
    },
    { layer: (prefix) => gatedLayer(prefix, sizes) },
  );
}
