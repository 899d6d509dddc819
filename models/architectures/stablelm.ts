import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder, TensorSpec } from "../spec.ts";
import { decoder, gatedLayer, layerNorm, norm, readActivation, readSizes, repeat, vector } from "./common.ts";

/** StableLM (`StableLmForCausalLM`): layer norms, a quarter of each head rotated, parallel blocks in some. */
export function stablelm(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_kv_heads: 32, n_ctx: 4096 });
  const parallel = config.bool("use_parallel_residual", false);
  const qk_norm = config.bool("qk_layernorm", false);
  // Each head has a norm of its own, and a tensor of its own.
  const headNorms = (name: string, n_heads: number): TensorSpec[] | null =>
    qk_norm ? repeat(n_heads, (head) => vector(`${name}.norms.${head}.weight`, sizes.d_head)) : null;
  return decoder(
    config,
    sizes,
    {
      family: "stablelm",
      norm: layerNorm(config, "layer_norm_eps"),
      block: parallel ? "parallel" : "sequential",
      activation: readActivation(config, "hidden_act", "silu"),
      qk_norm: qk_norm ? "head" : "none",
      ropes: [readRope(config, sizes.d_head, { partial: 0.25 })],
    },
    {
      layer: (prefix) => {
        const layer = gatedLayer(prefix, sizes, {
          qkv_bias: config.bool("use_qkv_bias", false),
          norm_bias: true,
        });
        return {
          ...layer,
          q_norm: headNorms(`${prefix}.self_attn.q_layernorm`, sizes.n_heads),
          k_norm: headNorms(`${prefix}.self_attn.k_layernorm`, sizes.n_kv_heads),
          mlp_norm: parallel ? null : layer.mlp_norm,
        };
      },
      final_norm: norm("model.norm", sizes.d_model, { bias: true }),
    },
  );
}
