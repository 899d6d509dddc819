import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, readActivation, readSizes, readWindow, repeat, rmsNorm } from "./common.ts";
import { expertTensors, readExperts } from "./experts.ts";

/** Mixtral (`MixtralForCausalLM`): Mistral whose every MLP is a choice of experts. */
export function mixtral(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_kv_heads: 8, n_ctx: 131_072 });
  const { d_model, n_layers, d_mlp: d_expert } = sizes;
  const experts = readExperts(config, n_layers, { n_experts: 8, top_k: 2, d_expert, renormalise: true });
  const names = { router: "gate", gate: "w1", up: "w3", down: "w2" };
  const window = readWindow(config, null);
  return decoder(
    config,
    sizes,
    {
      family: "mixtral",
      norm: rmsNorm(config, 1e-5),
      activation: readActivation(config, "hidden_act", "silu"),
      ropes: [readRope(config, sizes.d_head, { theta: 1e6 })],
      layers: repeat(n_layers, () => ({ rope: 0, window, experts })),
    },
    {
      layer: (prefix) => ({
        ...gatedLayer(prefix, sizes),
        mlp: expertTensors(`${prefix}.block_sparse_moe`, d_model, experts, names),
      }),
    },
  );
}
