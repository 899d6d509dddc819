import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, gatedLayer, readActivation, readSizes, readWindow, repeat, rmsNorm } from "./common.ts";

/** Ministral 3 (`Ministral3ForCausalLM`): Mistral with yarn, whose q grow beyond the original length. */
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
      ropes: [readRope(config, sizes.d_head)],
      layers: repeat(sizes.n_layers, () => ({ rope: 0, window, experts: null })),
    },
    { layer: (prefix) => gatedLayer(prefix, sizes) },
  );
}
