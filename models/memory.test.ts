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
