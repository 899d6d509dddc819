import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, readActivation, readSizes, rmsNorm } from "./common.ts";

/** Helium (`HeliumForCausalLM`): Llama with interleaved rope. */
export function helium(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_kv_heads: 20, d_head: 128, n_ctx: 4096 });
  const has = { qkv_bias: config.bool("attention_bias", false), mlp_bias: config.bool("mlp_bias", false) };
  return decoder(
    config,
    sizes,
    {
      family: "helium",
      norm: rmsNorm(config, 1e-8),
      activation: readActivation(config, "hidden_act", "silu"),
      ropes: [readRope(config, sizes.d_head, { theta: 100_000 })],
      rope_layout: "interleaved",
    },
    { layer: (prefix) => gatedLayer(prefix, sizes, has) },
  );
}
