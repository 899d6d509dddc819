import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, readActivation, readSizes, repeat, rmsNorm, rowNorms } from "./common.ts";
import { expertTensors, readExperts } from "./experts.ts";

/** OLMoE (`OlmoeForCausalLM`): every MLP a choice of experts, and norms over whole rows of q and k. */
export function olmoe(config: ConfigReader): Decoder {
  if (config.has("clip_qkv"))
    config.refuse("clip_qkv", config.raw.clip_qkv, "null: q, k and v are not clipped");
  const sizes = readSizes(config, { n_ctx: 4096 });
  const { d_model, n_layers, d_mlp: d_expert } = sizes;
  const renormalise = config.bool("norm_topk_prob", false);
  const experts = readExperts(config, n_layers, { n_experts: 64, top_k: 8, d_expert, renormalise });
  const bias = config.bool("attention_bias", false);
  return decoder(
    config,
    sizes,
    {
      family: "olmoe",
      norm: rmsNorm(config, 1e-5),
      activation: readActivation(config, "hidden_act", "silu"),
      qk_norm: "row",
      ropes: [readRope(config, sizes.d_head)],
      layers: repeat(n_layers, () => ({ rope: 0, window: null, experts })),
    },
    {
      layer: (prefix) => ({
        ...gatedLayer(prefix, sizes, { qkv_bias: bias, attn_out_bias: bias }),
        ...rowNorms(prefix, sizes),
        mlp: expertTensors(`${prefix}.mlp`, d_model, experts),
      }),
    },
  );
}
