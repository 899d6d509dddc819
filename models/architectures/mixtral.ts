import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import {
  decoder,
  gatedLayer,
  matrix,
  readActivation,
  readExpertCount,
  readSizes,
  readWindow,
  repeat,
  rmsNorm,
} from "./common.ts";

/** Mixtral (`MixtralForCausalLM`): Mistral whose every MLP is a choice of experts. */
export function mixtral(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_kv_heads: 8, n_ctx: 131_072 });
  const { d_model, d_mlp: d_expert } = sizes;
  const n_experts = readExpertCount(config, "num_local_experts", 8, sizes.n_layers);
  const top_k = config.int("num_experts_per_tok", 2);
  if (top_k > n_experts) config.refuse("num_experts_per_tok", top_k, `at most ${n_experts}`);
  const window = readWindow(config, null);
  const experts = { n_experts, top_k, d_expert, renormalise: true };
  return decoder(
    config,
    sizes,
    {
      family: "mixtral",
      norm: rmsNorm(config, 1e-5),
      activation: readActivation(config, "hidden_act", "silu"),
      ropes: [readRope(config, sizes.d_head, { theta: 1e6 })],
      layers: repeat(sizes.n_layers, () => ({ rope: 0, window, experts })),
    },
    {
      layer: (prefix) => {
        const moe = `${prefix}.block_sparse_moe`;
        const expert = (e: number, name: string, rows: number, cols: number) =>
          matrix(`${moe}.experts.${e}.${name}`, rows, cols);
        const mlp = {
          router: matrix(`${moe}.gate`, n_experts, d_model),
          in: repeat(n_experts, (e) => ["w1", "w3"].map((name) => expert(e, name, d_expert, d_model))).flat(),
          out: repeat(n_experts, (e) => expert(e, "w2", d_model, d_expert)),
        };
        return { ...gatedLayer(prefix, sizes), mlp };
      },
    },
  );
}
