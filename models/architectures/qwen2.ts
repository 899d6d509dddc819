import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, readActivation, readLateWindows, readSizes, rmsNorm } from "./common.ts";

/** Qwen 2 and 2.5 (`Qwen2ForCausalLM`): Llama with biases on q, k and v. */
export function qwen2(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_kv_heads: 32, n_ctx: 32_768 });
  return decoder(
    config,
    sizes,
    {
      family: "qwen2",
      norm: rmsNorm(config),
      activation: readActivation(config, "hidden_act", "silu"),
      ropes: [readRope(config, sizes.d_head)],
      layers: readLateWindows(config, sizes.n_layers),
    },
    { layer: (prefix) => gatedLayer(prefix, sizes, { qkv_bias: true }) },
  );
}
