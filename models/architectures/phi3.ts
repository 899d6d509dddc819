import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import {
  decoder,
  gatedLayer,
  matrix,
  readActivation,
  readSizes,
  readWindow,
  repeat,
  rmsNorm,
} from "./common.ts";

/** Phi-3, 3.5 and 4 (`Phi3ForCausalLM`): Llama with q|k|v and gate|up each in one tensor, and longrope. */
export function phi3(config: ConfigReader): Decoder {
  const n_ctx = 4096;
  const sizes = readSizes(config, { n_ctx });
  const { d_model, n_heads, n_kv_heads, d_head } = sizes;
  const window = readWindow(config, null);
  return decoder(
    config,
    sizes,
    {
      family: "phi3",
      norm: rmsNorm(config, 1e-5),
      activation: readActivation(config, "hidden_act", "silu"),
      ropes: [
        readRope(config, d_head, { n_ctx, original: n_ctx, aliases: { su: "longrope", yarn: "longrope" } }),
      ],
      layers: repeat(sizes.n_layers, () => ({ rope: 0, window, experts: null })),
    },
    {
      layer: (prefix) => ({
        ...gatedLayer(prefix, sizes, { fused_mlp: true }),
        qkv: [matrix(`${prefix}.self_attn.qkv_proj`, (n_heads + 2 * n_kv_heads) * d_head, d_model)],
      }),
    },
  );
}
