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
    ] as const) {
      expect(weights[dtype] / ((n_parameters * bits) / 8)).toBeCloseTo(1, 3);
    }
    // q4 is 5 bits, but for what has a row for each token: Gemma's embedding is its output too.
    const tables =
      (config.model_type === "gemma2" ? 1 : 2) * Number(config.vocab_size) * Number(config.hidden_size);
    expect(weights.q4 / ((n_parameters * 5 + tables * 3.5) / 8)).toBeCloseTo(1, 3);
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
  [
    "ERNIE 4.5 0.3B",
    360_748_032,
    sizes("ernie4_5", [1024, 18, 16, 2, 3072, 103_424], { head_dim: 128, tie_word_embeddings: true }),
  ],
  [
    "Granite 4.0 Micro",
    3_402_836_480,
    sizes("granitemoehybrid", [2560, 40, 40, 8, 8192, 100_352], {
      shared_intermediate_size: 8192,
      num_local_experts: 0,
      layer_types: new Array(40).fill("attention"),
      tie_word_embeddings: true,
    }),
  ],
  [
    "EXAONE 4.0 1.2B",
    1_279_391_488,
    sizes("exaone4", [2048, 30, 32, 8, 4096, 102_400], { sliding_window: null, tie_word_embeddings: true }),
  ],
  ["OLMoE 1B-7B", 6_919_161_856, sizes("olmoe", [2048, 16, 16, 16, 1024, 50_304])],
  [
    "GPT-Neo 125M",
    125_198_592,
    {
      model_type: "gpt_neo",
      hidden_size: 768,
      num_layers: 12,
      num_heads: 12,
      vocab_size: 50_257,
      attention_types: [[["global", "local"], 6]],
    },
  ],
  ["Phi-2", 2_779_683_840, sizes("phi", [2560, 32, 32, 32, 10_240, 51_200], { partial_rotary_factor: 0.4 })],
  [
    "GPT-J 6B",
    6_050_882_784,
    { model_type: "gptj", n_embd: 4096, n_layer: 28, n_head: 16, vocab_size: 50_400 },
  ],
  // Without the two rows of positions that nothing reads.
  ["OPT 125M", 125_239_296 - 2 * 768, { ...sizes("opt", [768, 12, 12, 12, 3072, 50_272]), ffn_dim: 3072 }],
  ["AFM 4.5B", 4_619_184_640, sizes("arcee", [2560, 36, 20, 4, 18_432, 128_004], { head_dim: 128 })],
  ["Nemotron-Mini 4B", 4_190_509_056, sizes("nemotron", [3072, 32, 24, 8, 9216, 256_000], { head_dim: 128 })],
  [
    "Ministral 3 3B",
    3_429_006_336,
    sizes("ministral3", [3072, 26, 32, 8, 9216, 131_072], {
      head_dim: 128,
      tie_word_embeddings: true,
      rope_parameters: { rope_type: "default" },
    }),
  ],
  ["Seed-OSS 36B", 36_151_104_512, sizes("seed_oss", [5120, 64, 80, 8, 27_648, 155_136], { head_dim: 128 })],
  ["Helium 1 2B", 2_023_868_416, sizes("helium", [2048, 28, 16, 8, 8192, 64_000], { head_dim: 128 })],
  ["GLM-4 9B", 9_399_951_360, sizes("glm", [4096, 40, 32, 2, 13_696, 151_552])],
];

test.each(COUNTS)("%s has %i parameters", (_, n_parameters, config) => {
  expect(memoryNeed(buildProgram(readDecoder(config))).n_parameters).toBe(n_parameters);
});
