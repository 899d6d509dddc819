import { describe, expect, test } from "vitest";
import { type RawConfig, readDecoder } from "./index.ts";

/** What a config asks for and no device runs is refused by its field, with the reason. */

const SIZES: RawConfig = {
  hidden_size: 64,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 96,
  vocab_size: 32,
  max_position_embeddings: 128,
};
const GPT: RawConfig = { n_embd: 64, n_layer: 2, n_head: 4, vocab_size: 32 };
const NEO: RawConfig = { hidden_size: 64, num_layers: 2, num_heads: 4, vocab_size: 32 };
const GRANITE4: RawConfig = { ...SIZES, num_local_experts: 0, shared_intermediate_size: 96 };
const attention = ["attention", "attention", "attention", "attention"];

const REFUSED: [string, RawConfig, string][] = [
  ["gpt2", { ...GPT, add_cross_attention: true }, "add_cross_attention to be false, found true"],
  ["gpt2", { ...GPT, activation_function: "relu6" }, 'activation_function to be "silu" or'],
  ["gemma3_text", { ...SIZES, use_bidirectional_attention: true }, "use_bidirectional_attention"],
  ["llama", { ...SIZES, rope_scaling: { rope_type: "proportional" } }, "rope_type"],
  [
    "llama",
    { ...SIZES, rope_scaling: { rope_type: "longrope", short_factor: [1] } },
    "long_factor to be 8 numbers",
  ],
  [
    "granitemoehybrid",
    GRANITE4,
    'Mamba 2 and other linear attention are not run, found "0 of 4 (the others are Mamba 2)"',
  ],
  [
    "granitemoehybrid",
    { ...GRANITE4, layer_types: [...attention.slice(1), "mamba"] },
    'layer_types to be "attention" for every',
  ],
  [
    "granitemoehybrid",
    { ...GRANITE4, layer_types: [...attention.slice(2), "full_attention", "linear_attention"] },
    'are not run, found "linear_attention"',
  ],
  [
    "granitemoehybrid",
    { ...GRANITE4, layer_types: attention, num_local_experts: 62 },
    "num_local_experts to be 0: experts beside a shared MLP are not run, found 62",
  ],
  [
    "granitemoehybrid",
    { ...GRANITE4, layer_types: attention, num_local_experts: null },
    "num_local_experts to be 0: experts beside a shared MLP are not run, found 8",
  ],
  ["granitemoehybrid", { ...GRANITE4, layer_types: ["attention"] }, 'found "1 of 4'],
  ["exaone4", { ...SIZES, sliding_window_pattern: "LLLG" }, "sliding_window_pattern to be a whole number"],
  ["olmoe", { ...SIZES, clip_qkv: 8 }, "clip_qkv to be null: q, k and v are not clipped, found 8"],
  ["olmoe", { ...SIZES, num_experts: 4, num_experts_per_tok: 5 }, "num_experts_per_tok to be at most 4"],
  ["gpt_neo", { ...NEO, attention_types: [[["global", "local"], 2]] }, "attention_types to be"],
  ["gpt_neo", { ...NEO, attention_types: [[["global"], 1e9]] }, "attention_types to be"],
  [
    "gpt_neo",
    { ...NEO, attention_layers: ["global", "dilated"] },
    '"global" or "local" for each of 2 layers',
  ],
  ["gpt_neo", { ...NEO, num_heads: 5 }, "a multiple of num_heads (5)"],
  ["gptj", { ...GPT, rotary_dim: 32 }, "rotary_dim to be a number up to 16, a head's dimensions, found 32"],
  ["gptj", { ...GPT, rotary_dim: null }, "rotary_dim"],
  [
    "phi",
    { ...SIZES, qk_layernorm: true },
    "qk_layernorm to be false: norms of q and k with biases are not run",
  ],
  ["opt", { ...SIZES, do_layer_norm_before: false }, "do_layer_norm_before to be true: norms after"],
  ["opt", { ...SIZES, word_embed_proj_dim: 32 }, "word_embed_proj_dim to be hidden_size (64): projections"],
  [
    "opt",
    { ...SIZES, _remove_final_layer_norm: true },
    "_remove_final_layer_norm to be false: a decoder without",
  ],
  [
    "opt",
    { ...SIZES, layer_norm_elementwise_affine: false },
    "layer_norm_elementwise_affine to be true: norms",
  ],
  [
    "mellum",
    { ...SIZES, mlp_layer_types: ["sparse", "shared"] },
    'mlp_layer_types to be "sparse" or "dense"',
  ],
  ["ministral3", SIZES, "rope_parameters to be a rope, with what it is scaled by, found null"],
  ["mistral3", SIZES, "text_config"],
  [
    "mistral3",
    { text_config: { ...SIZES, model_type: "mistral4" } },
    'model_type to be "mistral" or "ministral3"',
  ],
];

describe("is refused by its field", () => {
  test.each(REFUSED)("%s %j", (model_type, config, text) => {
    expect(() => readDecoder({ model_type, ...config })).toThrow(
      expect.objectContaining({ message: expect.stringContaining(text) }),
    );
  });

  test("what is unknown and means nothing is not", () => {
    const more = { some_new_field: { deep: true }, pretraining_tp: 2 };
    expect(readDecoder({ model_type: "llama", ...SIZES, ...more }).spec.d_model).toBe(64);
    const granite = { model_type: "granitemoehybrid", ...GRANITE4, layer_types: attention };
    expect(readDecoder({ ...granite, mamba_n_heads: 8 }).spec.ropes).toEqual([]);
  });
});
