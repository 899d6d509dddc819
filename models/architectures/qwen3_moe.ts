import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import {
  decoder,
  gatedLayer,
  matrix,
  readActivation,
  readExpertCount,
  readLayers,
  readSizes,
  readSwitchedWindow,
  repeat,
  rmsNorm,
} from "./common.ts";

/** Qwen 3 with experts (`Qwen3MoeForCausalLM`): some layers dense, the others a choice of experts. */
export function qwen3Moe(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_kv_heads: 4, n_ctx: 32_768 });
  const { d_model, n_layers } = sizes;
  const bias = config.bool("attention_bias", false);
  // Published files say `num_experts`, newly saved ones `num_local_experts`.
  const field = config.has("num_experts") ? "num_experts" : "num_local_experts";
  const n_experts = readExpertCount(config, field, 128, n_layers);
  const top_k = config.int("num_experts_per_tok", 8);
  if (top_k > n_experts) config.refuse("num_experts_per_tok", top_k, `at most ${n_experts}`);
  const d_expert = config.int("moe_intermediate_size", 768);
  const experts = { n_experts, top_k, d_expert, renormalise: config.bool("norm_topk_prob", false) };
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
        if (!isSparse(i)) return layer;
        const expert = (e: number, name: string, rows: number, cols: number) =>
          matrix(`${prefix}.mlp.experts.${e}.${name}`, rows, cols);
        const mlp = {
          router: matrix(`${prefix}.mlp.gate`, n_experts, d_model),
          in: repeat(n_experts, (e) =>
            ["gate_proj", "up_proj"].map((name) => expert(e, name, d_expert, d_model)),
          ).flat(),
          out: repeat(n_experts, (e) => expert(e, "down_proj", d_model, d_expert)),
        };
        return { ...layer, mlp };
      },
    },
  );
}
