import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, readActivation, readLateWindows, readSizes, rmsNorm } from "./common.ts";

/** Dense Qwen 3 (`Qwen3ForCausalLM`): as Llama, with an RMS norm on each head's q and k. */
export function qwen3(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { d_head: 128, n_kv_heads: 32, n_ctx: 32_768 });
  const bias = config.bool("attention_bias", false);
  const has = { qkv_bias: bias, attn_out_bias: bias, qk_norm: true };
  return decoder(
    config,
    sizes,
    {
      family: "qwen3",
      norm: rmsNorm(config),
      activation: readActivation(config, "hidden_act", "silu"),
      qk_norm: "head",
      ropes: [readRope(config, sizes.d_head)],
      layers: readLateWindows(config, sizes.n_layers),
    },
    { layer: (prefix) => gatedLayer(prefix, sizes, has) },
  );
}
