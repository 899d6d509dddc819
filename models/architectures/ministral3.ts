import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder, QScale } from "../spec.ts";
import { decoder, gatedLayer, readActivation, readSizes, readWindow, repeat, rmsNorm } from "./common.ts";

/** Ministral 3 (`Ministral3ForCausalLM`): Mistral with yarn, whose q grow with each original length that they pass. */
export function ministral3(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { n_kv_heads: 8, d_head: 128, n_ctx: 262_144 });
  const window = readWindow(config, null);
  return decoder(
    config,
    sizes,
    {
      family: "ministral3",
      norm: rmsNorm(config, 1e-5),
      activation: readActivation(config, "hidden_act", "silu"),
      q_scale: readQScale(config),
      ropes: [readRope(config, sizes.d_head)],
      layers: repeat(sizes.n_layers, () => ({ rope: 0, window, experts: null })),
    },
    { layer: (prefix) => gatedLayer(prefix, sizes) },
  );
}

/** `llama_4_scaling_beta` and the length it counts by, both beside the rope's own fields. */
function readQScale(config: ConfigReader): QScale | null {
  const rope = config.child("rope_parameters") ?? config.child("rope_scaling");
  if (rope === undefined) return config.refuse("rope_parameters", null, "a rope, with what it is scaled by");
  const beta = rope.number("llama_4_scaling_beta", 0);
  return beta === 0 ? null : { beta, every: rope.int("original_max_position_embeddings") };
}
