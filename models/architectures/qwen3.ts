import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, readActivation, readLayers, readSizes, rmsNorm } from "./common.ts";

/** Dense Qwen 3 (`Qwen3ForCausalLM`): as Llama, with an RMS norm on each head's q and k. */
export function qwen3(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { d_head: 128 });
  const bias = config.bool("attention_bias", false);
  // Sliding windows count only with `use_sliding_window`.
  const slides = config.bool("use_sliding_window", false) && config.has("sliding_window");
  const window = slides ? config.int("sliding_window") : null;
  const first = config.int("max_window_layers", 28, 0);
  return decoder(
    config,
    sizes,
    {
      family: "qwen3",
      norm: rmsNorm(config),
      activation: readActivation(config, "hidden_act", "silu"),
      qk_norm: "head",
      ropes: [readRope(config, sizes.d_head)],
      layers: readLayers(config, sizes.n_layers, window, (layer) => layer >= first),
    },
    {
      layer: (prefix) => gatedLayer(prefix, sizes, { qkv_bias: bias, attn_out_bias: bias, qk_norm: true }),
    },
  );
}
