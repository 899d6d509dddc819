import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import {
  decoder,
  gatedLayer,
  readActivation,
  readLayers,
  readSizes,
  readSwitchedWindow,
  rmsNorm,
} from "./common.ts";
import { expertTensors, readExperts } from "./experts.ts";

/** Qwen 3 with experts (`Qwen3MoeForCausalLM`): some layers dense, the others a choice of experts. */
export function qwen3Moe(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_kv_heads: 4, n_ctx: 32_768 });
  const { d_model, n_layers } = sizes;
  const bias = config.bool("attention_bias", false);
  const experts = readExperts(config, n_layers, {
    n_experts: 128,
    top_k: 8,
    d_expert: config.int("moe_intermediate_size", 768),
    renormalise: config.bool("norm_topk_prob", false),
  });
  const dense = config.list("mlp_only_layers") ?? [];
  const every = config.int("decoder_sparse_step", 1);
  const isSparse = (layer: number) => !dense.includes(layer) && (layer + 1) % every === 0;
  const window = readSwitchedWindow(config);
  const has = { qkv_bias: bias, attn_out_bias: bias, qk_norm: true };
  return decoder(
    config,
    sizes,
    {
      family: "qwen3_moe",
      norm: rmsNorm(config),
      activation: readActivation(config, "hidden_act", "silu"),
      qk_norm: "head",
      ropes: [readRope(config, sizes.d_head)],
      layers: readLayers(config, n_layers, window).map((layer, i) =>
        isSparse(i) ? { ...layer, experts } : layer,
      ),
    },
    {
      layer: (prefix, i) => {
        const layer = gatedLayer(prefix, sizes, has);
        return isSparse(i) ? { ...layer, mlp: expertTensors(`${prefix}.mlp`, d_model, experts) } : layer;
      },
    },
  );
}
