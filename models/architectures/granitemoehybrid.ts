import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { decoder, fusedMlp, gatedLayer, readActivation, readSizes, repeat, rmsNorm } from "./common.ts";

/**
 * Granite 4 (`GraniteMoeHybridForCausalLM`) where every layer is attention and an MLP (350M, 1B, Micro): Granite 3 with
 * gate|up in one tensor, with rope or without positions.
 */
export function graniteMoeHybrid(config: ConfigReader): Decoder {
  refuseHybrid(config);
  const read = readSizes(config);
  const sizes = { ...read, d_mlp: config.int("shared_intermediate_size", 1024) };
  const bias = config.bool("attention_bias", false);
  const turns = config.raw.position_embedding_type === "rope";
  const rope = turns ? 0 : null;
  return decoder(
    config,
    sizes,
    {
      family: "granitemoehybrid",
      norm: rmsNorm(config),
      activation: readActivation(config, "hidden_act", "silu"),
      attn_scale: config.positive("attention_multiplier", 1),
      embed_scale: config.positive("embedding_multiplier", 1),
      residual_scale: config.positive("residual_multiplier", 1),
      logit_scale: 1 / config.positive("logits_scaling", 1),
      ropes: turns ? [readRope(config, sizes.d_head)] : [],
      layers: repeat(sizes.n_layers, () => ({ rope, window: null, experts: null })),
    },
    {
      layer: (prefix) => ({
        ...gatedLayer(prefix, sizes, { qkv_bias: bias, attn_out_bias: bias }),
        mlp: fusedMlp(`${prefix}.shared_mlp`, sizes, "input_linear", "output_linear"),
      }),
    },
  );
}

const ATTENTION = ["attention", "full_attention"];

/** Granite 4 H has layers with a recurrent state (Mamba 2), and experts beside the MLP. */
function refuseHybrid(config: ConfigReader): void {
  const n_layers = config.count("num_hidden_layers");
  const types = config.list("layer_types") ?? config.list("layers_block_type") ?? [];
  const other =
    types.length < n_layers ? `${types.length} of ${n_layers} (the others are Mamba 2)` : types.find(isOther);
  const need = '"attention" for every layer: Mamba 2 and other linear attention are not run';
  if (other !== undefined) config.refuse("layer_types", other, need);
  const n_experts = config.int("num_local_experts", 8, 0);
  if (n_experts > 0)
    config.refuse("num_local_experts", n_experts, "0: experts beside a shared MLP are not run");
}

function isOther(type: unknown): boolean {
  return !ATTENTION.includes(type as string);
}
