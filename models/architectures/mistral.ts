import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, readActivation, readSizes, readWindow, repeat, rmsNorm } from "./common.ts";

/** Mistral (`MistralForCausalLM`): Llama, every layer of which slides where a window is written. */
export function mistral(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_kv_heads: 8, n_ctx: 131_072 });
  const window = readWindow(config, 4096);
  return decoder(
    config,
    sizes,
    {
      family: "mistral",
      norm: rmsNorm(config),
      activation: readActivation(config, "hidden_act", "silu"),
      ropes: [readRope(config, sizes.d_head)],
      layers: repeat(sizes.n_layers, () => ({ rope: 0, window, experts: null })),
    },
    { layer: (prefix) => gatedLayer(prefix, sizes) },
  );
}
