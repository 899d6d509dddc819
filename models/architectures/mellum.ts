import type { ConfigReader } from "../config.ts";
import { readLayeredRopes } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import {
  decoder,
  gatedLayer,
  readActivation,
  readLayers,
  readSizes,
  readWindow,
  repeat,
  rmsNorm,
} from "./common.ts";
import { expertTensors, readExperts } from "./experts.ts";

/** Mellum 2 (`MellumForCausalLM`): Qwen 3 with experts, some layers of which slide and have a rope of their own. */
export function mellum(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_kv_heads: 4, d_head: 128, n_ctx: 131_072 });
  const { d_model, n_layers } = sizes;
  const bias = config.bool("attention_bias", false);
  const experts = readExperts(config, n_layers, {
    n_experts: 64,
    top_k: 8,
    d_expert: config.int("moe_intermediate_size", 896),
    renormalise: config.bool("norm_topk_prob", true),
  });
  const kinds = config.list("mlp_layer_types") ?? repeat(n_layers, () => "sparse");
  if (kinds.length < n_layers || kinds.some((kind) => kind !== "sparse" && kind !== "dense"))
    config.refuse("mlp_layer_types", kinds, `"sparse" or "dense" for each of ${n_layers} layers`);
  const ropes = readLayeredRopes(config, sizes.d_head, {
    full: { theta: 500_000 },
    sliding: { theta: 10_000 },
  });
  const layers = readLayers(
    config,
    n_layers,
    readWindow(config, 1024),
    () => false,
    (local) => (local ? 1 : 0),
  );
  const has = { qkv_bias: bias, attn_out_bias: bias, qk_norm: true };
  return decoder(
    config,
    sizes,
    {
      family: "mellum",
      norm: rmsNorm(config),
      activation: readActivation(config, "hidden_act", "silu"),
      qk_norm: "head",
      ropes: [ropes.full, ropes.sliding],
      layers: layers.map((layer, i) => (kinds[i] === "sparse" ? { ...layer, experts } : layer)),
    },
    {
      layer: (prefix, i) => {
        const layer = gatedLayer(prefix, sizes, has);
        return kinds[i] === "sparse"
          ? { ...layer, mlp: expertTensors(`${prefix}.mlp`, d_model, experts) }
          : layer;
      },
    },
  );
}
