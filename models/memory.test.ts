import { expect, test } from "vitest";
import { buildProgram, memoryNeed, type RawConfig, readDecoder, type StoredDtype } from "./index.ts";

/** The published sizes of the models that the Assistant axis was measured on, and what they take. */
const PUBLISHED: [string, RawConfig, { n_parameters: number; kv_per_token: number }][] = [
  [
    "Gemma 2 27B",
    {
      model_type: "gemma2",
      hidden_size: 4608,
      intermediate_size: 36_864,
      num_hidden_layers: 46,
      num_attention_heads: 32,
      num_key_value_heads: 16,
      head_dim: 128,
      vocab_size: 256_000,
      query_pre_attn_scalar: 144,
      sliding_window: 4096,
      max_position_embeddings: 8192,
    },
    { n_parameters: 27_227_128_320, kv_per_token: 753_664 },
  ],
  [
    "Qwen 3 32B",
    {
      model_type: "qwen3",
      hidden_size: 5120,
      intermediate_size: 25_600,
      num_hidden_layers: 64,
      num_attention_heads: 64,
      num_key_value_heads: 8,
      head_dim: 128,
      vocab_size: 151_936,
      rope_theta: 1_000_000,
      max_position_embeddings: 40_960,
    },
    { n_parameters: 32_762_123_264, kv_per_token: 524_288 },
  ],
  [
    "Llama 3.3 70B",
    {
      model_type: "llama",
      hidden_size: 8192,
      intermediate_size: 28_672,
      num_hidden_layers: 80,
      num_attention_heads: 64,
      num_key_value_heads: 8,
      vocab_size: 128_256,
      rope_theta: 500_000,
      rope_scaling: {
        rope_type: "llama3",
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 8192,
      },
      max_position_embeddings: 131_072,
    },
    { n_parameters: 70_553_706_496, kv_per_token: 655_360 },
  ],
];

test.each(PUBLISHED)(
  "%s: as many parameters as it is published with, and its memory",
  (name, config, need) => {
    const found = memoryNeed(buildProgram(readDecoder(config)));
    expect(found).toMatchObject(need);
    const { weights, n_parameters } = found;
    // Vectors stay in float32: less than a millionth of the whole.
    expect(weights.f32).toBe(4 * n_parameters);
    for (const [dtype, bits] of [
      ["f16", 16],
      ["bf16", 16],
      ["q8", 8.5],
      ["q4", 4.5],
    ] as const) {
      expect(weights[dtype] / ((n_parameters * bits) / 8)).toBeCloseTo(1, 3);
    }
    const sizes = (Object.keys(weights) as StoredDtype[]).map(
      (key) => `${key} ${(weights[key] / 1e9).toFixed(1)} GB`,
    );
    console.info(`${name}: ${sizes.join(", ")}; cache ${found.kv_per_token / 1024} kB a token`);
  },
);

const SIZES = [
  "hidden_size",
  "num_hidden_layers",
  "num_attention_heads",
  "num_key_value_heads",
  "intermediate_size",
  "vocab_size",
] as const;

/** A config of these `SIZES`, in their order. */
function sizes(
  model_type: string,
  of: [number, number, number, number, number, number],
  more: RawConfig = {},
): RawConfig {
  return { model_type, ...Object.fromEntries(SIZES.map((name, i) => [name, of[i]!])), ...more };
}

/** One published model of each other family and how many parameters it has: every shape of its table shows. */
const COUNTS: [string, number, RawConfig][] = [
  [
    "GPT-2",
    124_439_808,
    { model_type: "gpt2", n_embd: 768, n_layer: 12, n_head: 12, n_positions: 1024, vocab_size: 50_257 },
  ],
  ["Pythia 1.4B", 1_414_647_808, sizes("gpt_neox", [2048, 24, 16, 16, 8192, 50_304])],
  ["Phi-3 mini", 3_821_079_552, sizes("phi3", [3072, 32, 32, 32, 8192, 32_064])],
  ["Mistral 7B", 7_241_732_096, sizes("mistral", [4096, 32, 32, 8, 14_336, 32_000])],
  [
    "Mixtral 8x7B",
    46_702_792_704,
    sizes("mixtral", [4096, 32, 32, 8, 14_336, 32_000], { num_local_experts: 8 }),
  ],
  ["Qwen 2.5 7B", 7_615_616_512, sizes("qwen2", [3584, 28, 28, 4, 18_944, 152_064])],
  [
    "Qwen 3 30B-A3B",
    30_532_122_624,
    sizes("qwen3_moe", [2048, 48, 32, 4, 6144, 151_936], {
      head_dim: 128,
      num_experts: 128,
      moe_intermediate_size: 768,
    }),
  ],
  ["Gemma 2B", 2_506_172_416, sizes("gemma", [2048, 18, 8, 1, 16_384, 256_000], { head_dim: 256 })],
  ["Gemma 3 1B", 999_885_952, sizes("gemma3_text", [1152, 26, 4, 1, 6912, 262_144], { head_dim: 256 })],
  ["SmolLM3 3B", 3_075_098_624, sizes("smollm3", [2048, 36, 16, 4, 11_008, 128_256])],
  ["StarCoder 2 3B", 3_030_371_328, sizes("starcoder2", [3072, 30, 24, 2, 12_288, 49_152])],
  ["Command-R", 34_980_831_232, sizes("cohere", [8192, 40, 64, 64, 22_528, 256_000])],
  [
    "StableLM 2 1.6B",
    1_644_515_328,
    sizes("stablelm", [2048, 24, 32, 32, 5632, 100_352], { use_qkv_bias: true }),
  ],
  ["OLMo 2 7B", 7_298_617_344, sizes("olmo2", [4096, 32, 32, 32, 11_008, 100_352])],
  [
    "Granite 3.1 8B",
    8_170_848_256,
    sizes("granite", [4096, 40, 32, 8, 12_800, 49_155], { tie_word_embeddings: true }),
  ],
  ["GLM-4 9B", 9_399_951_360, sizes("glm", [4096, 40, 32, 2, 13_696, 151_552])],
];

test.each(COUNTS)("%s has %i parameters", (_, n_parameters, config) => {
  expect(memoryNeed(buildProgram(readDecoder(config))).n_parameters).toBe(n_parameters);
});
