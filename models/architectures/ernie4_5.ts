import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, readActivation, readSizes, rmsNorm } from "./common.ts";

/** Dense ERNIE 4.5 (`Ernie4_5ForCausalLM`): Llama with interleaved rope. */
export function ernie4_5(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_kv_heads: 2, d_head: 128, n_ctx: 131_072 });
  const bias = config.bool("use_bias", false);
  const has = { qkv_bias: bias, attn_out_bias: bias, mlp_bias: bias };
  return decoder(
    config,
    sizes,
    {
      family: "ernie4_5",
      norm: rmsNorm(config, 1e-5),
      activation: readActivation(config, "hidden_act", "silu"),
      ropes: [readRope(config, sizes.d_head, { theta: 500_000 })],
      rope_layout: "interleaved",
      tied_embeddings: config.bool("tie_word_embeddings", true),
    },
    { layer: (prefix) => gatedLayer(prefix, sizes, has) },
  );
}
