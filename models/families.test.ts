import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  buildProgram,
  CapstanError,
  knownArchitectures,
  type RawConfig,
  readDecoder,
  tensorSpecs,
} from "./index.ts";

/** What families make of the configs people have: those of transformers 4 and 5, and their traps. */

const SIZES: RawConfig = {
  hidden_size: 64,
  num_hidden_layers: 6,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 96,
  vocab_size: 32,
  max_position_embeddings: 128,
};

function spec(model_type: string, more: RawConfig = {}) {
  return readDecoder({ ...SIZES, model_type, ...more }).spec;
}

function windows(model_type: string, more: RawConfig = {}) {
  return spec(model_type, more).layers.map(({ window }) => window);
}

function ropesOf(model_type: string, more: RawConfig = {}) {
  return spec(model_type, more).layers.map(({ rope }) => rope);
}

function names(model_type: string, more: RawConfig = {}) {
  return tensorSpecs(buildProgram(readDecoder({ ...SIZES, model_type, ...more }))).map(({ name }) => name);
}

/** Both styles of a config, which must give the same decoder. */
const STYLES: [string, string, RawConfig, RawConfig][] = [
  [
    "gemma2",
    "layers implied, softcaps written out",
    { rope_theta: 10_000, torch_dtype: "bfloat16", hidden_act: "gelu_pytorch_tanh" },
    {
      dtype: "bfloat16",
      rope_parameters: { rope_type: "default", rope_theta: 10_000 },
      layer_types: [1, 0, 1, 0, 1, 0].map(layerType),
      attn_logit_softcapping: 50,
      final_logit_softcapping: 30,
      hidden_activation: "gelu_pytorch_tanh",
    },
  ],
  [
    "gemma3_text",
    "local theta beside, scaling of the global layers alone",
    {
      rope_theta: 1e6,
      rope_local_base_freq: 10_000,
      rope_scaling: { factor: 8, rope_type: "linear" },
      sliding_window: 32,
      sliding_window_pattern: 3,
    },
    {
      rope_parameters: {
        full_attention: { rope_type: "linear", factor: 8, rope_theta: 1e6 },
        sliding_attention: { rope_type: "default", rope_theta: 10_000 },
      },
      sliding_window: 32,
      layer_types: [1, 1, 0, 1, 1, 0].map(layerType),
      _sliding_window_pattern: 6,
    },
  ],
  [
    "gpt_neox",
    "rotary_pct and rotary_emb_base",
    { rotary_pct: 0.5, rotary_emb_base: 20_000 },
    { rope_parameters: { rope_type: "default", rope_theta: 20_000, partial_rotary_factor: 0.5 } },
  ],
  [
    "phi3",
    "su, its original length at the top",
    {
      rope_scaling: { type: "su", short_factor: fill(1, 8), long_factor: fill(2, 8) },
      original_max_position_embeddings: 32,
    },
    {
      rope_parameters: {
        rope_type: "longrope",
        rope_theta: 10_000,
        short_factor: fill(1, 8),
        long_factor: fill(2, 8),
        original_max_position_embeddings: 64,
        partial_rotary_factor: 1,
      },
      original_max_position_embeddings: 32,
    },
  ],
  [
    "stablelm",
    "partial rotary at the top",
    { partial_rotary_factor: 0.25, rope_theta: 10_000, use_qkv_bias: true },
    {
      rope_parameters: { rope_type: "default", rope_theta: 10_000, partial_rotary_factor: 0.25 },
      use_qkv_bias: true,
    },
  ],
  [
    "qwen3_moe",
    "num_experts and num_local_experts",
    { num_experts: 4, num_experts_per_tok: 2, norm_topk_prob: true, mlp_only_layers: [] },
    { num_local_experts: 4, num_experts_per_tok: 2, norm_topk_prob: true, mlp_only_layers: null },
  ],
  [
    "olmo3",
    "scaled in the layers of full attention",
    { rope_theta: 500_000, rope_scaling: yarn() },
    {
      rope_parameters: {
        full_attention: { ...yarn(), rope_theta: 500_000 },
        sliding_attention: { rope_type: "default", rope_theta: 500_000 },
      },
      layer_types: [1, 1, 1, 0, 1, 1].map(layerType),
    },
  ],
  [
    "smollm3",
    "layers without rope implied",
    { rope_theta: 2e6 },
    {
      no_rope_layers: [1, 1, 1, 0, 1, 1],
      layer_types: fill("full_attention", 6),
      tie_word_embeddings: true,
    },
  ],
  [
    "mixtral",
    "head_dim null",
    { head_dim: null, num_local_experts: 4 },
    { head_dim: 16, num_local_experts: 4 },
  ],
  [
    "exaone4",
    "the pattern as a number",
    { sliding_window: 16, sliding_window_pattern: 3, rope_theta: 1e6 },
    {
      sliding_window: 16,
      layer_types: [1, 1, 0, 1, 1, 0].map(layerType),
      rope_parameters: { rope_type: "default", rope_theta: 1e6 },
    },
  ],
  [
    "granitemoehybrid",
    "kinds of layers under their old names",
    { num_local_experts: 0, layer_types: fill("attention", 6), position_embedding_type: "nope" },
    { num_local_experts: 0, layers_block_type: fill("full_attention", 6), position_embedding_type: null },
  ],
  [
    "gpt_neo",
    "kinds of layers as a pattern",
    { num_layers: 6, num_heads: 4, attention_types: [[["global", "local"], 3]], window_size: 16 },
    {
      num_layers: 6,
      num_heads: 4,
      attention_types: null,
      attention_layers: [0, 1, 0, 1, 0, 1].map((local) => (local === 1 ? "local" : "global")),
      window_size: 16,
    },
  ],
  [
    "phi",
    "partial rotary at the top",
    { partial_rotary_factor: 0.25, rope_theta: 1e4 },
    { rope_parameters: { rope_type: "default", rope_theta: 1e4, partial_rotary_factor: 0.25 } },
  ],
  [
    "cohere2",
    "the pattern as a number",
    { sliding_window: 16, sliding_window_pattern: 3 },
    { sliding_window: 16, layer_types: [1, 1, 0, 1, 1, 0].map(layerType) },
  ],
];

function layerType(slides: number): string {
  return slides === 1 ? "sliding_attention" : "full_attention";
}

function fill<T>(value: T, length: number): T[] {
  return new Array<T>(length).fill(value);
}

function yarn(): RawConfig {
  return { rope_type: "yarn", factor: 8, original_max_position_embeddings: 32, beta_fast: 32, beta_slow: 1 };
}

describe("configs of transformers 4 and 5", () => {
  test.each(STYLES)("%s reads them alike: %s", (model_type, _, old_style, new_style) => {
    const read = (more: RawConfig) => readDecoder({ ...SIZES, model_type, ...more });
    expect(read(old_style)).toEqual(read(new_style));
  });

  test("windows go to the layers that the family says", () => {
    expect(windows("mistral", { sliding_window: 8 })).toEqual(fill(8, 6));
    expect(windows("mistral", { sliding_window: null })).toEqual(fill(null, 6));
    expect(windows("mistral")).toEqual(fill(4096, 6));
    expect(windows("mixtral")).toEqual(fill(null, 6));
    expect(windows("gemma2", { sliding_window: 8 })).toEqual([8, null, 8, null, 8, null]);
    expect(windows("gemma3_text", { sliding_window: 8 })).toEqual([8, 8, 8, 8, 8, null]);
    expect(windows("olmo3", { sliding_window: 8 })).toEqual([8, 8, 8, null, 8, 8]);
    expect(windows("qwen2", { sliding_window: 8, max_window_layers: 4 })).toEqual(fill(null, 6));
    expect(windows("qwen2", { sliding_window: 8, max_window_layers: 4, use_sliding_window: true })).toEqual([
      null,
      null,
      null,
      null,
      8,
      8,
    ]);
    expect(windows("ministral", { sliding_window: 8 })).toEqual(fill(8, 6));
    expect(windows("exaone4", { sliding_window: 8 })).toEqual([8, 8, 8, null, 8, 8]);
    expect(windows("exaone4", { sliding_window: null })).toEqual(fill(null, 6));
    expect(windows("mellum")).toEqual(fill(null, 6));
    expect(windows("vaultgemma", { sliding_window: 8 })).toEqual([8, null, 8, null, 8, null]);
    expect(windows("starcoder2", { sliding_window: 8 })).toEqual(fill(8, 6));
  });

  test("ropes go to the layers that the family says", () => {
    expect(ropesOf("smollm3", { no_rope_layers: [1, 0, 1, 1, 0, 1] })).toEqual([0, null, 0, 0, null, 0]);
    expect(ropesOf("gemma3_text")).toEqual([1, 1, 1, 1, 1, 0]);
    expect(ropesOf("cohere2")).toEqual([0, 0, 0, null, 0, 0]);
    expect(ropesOf("exaone4")).toEqual([0, 0, 0, null, 0, 0]);
    expect(ropesOf("exaone4", { sliding_window: null })).toEqual(fill(0, 6));
    const layer_types = [1, 0, 0, 1, 0, 1].map(layerType);
    expect(ropesOf("mellum", { layer_types })).toEqual([1, 0, 0, 1, 0, 1]);
    expect(ropesOf("gpt2", { n_embd: 8, n_head: 2, n_layer: 2 })).toEqual([null, null]);
  });

  test("layer_types of another kind are refused by name", () => {
    for (const layer_types of [fill("chunked_attention", 6), fill("full_attention", 5)]) {
      expect(() => spec("qwen3", { layer_types })).toThrow(
        expect.objectContaining({ code: "unsupported", message: expect.stringContaining("layer_types") }),
      );
    }
  });

  test("defaults are those of the family", () => {
    const theta = (model_type: string) =>
      spec(model_type).ropes[0]!.inv_freq[1]! ** (-spec(model_type).ropes[0]!.d_rot / 2);
    expect(theta("mixtral")).toBeCloseTo(1e6, -2);
    expect(theta("smollm3")).toBeCloseTo(2e6, -2);
    expect(theta("cohere")).toBeCloseTo(5e5, -2);
    expect(theta("cohere2")).toBeCloseTo(1e4, -1);
    expect(theta("gemma3_text")).toBeCloseTo(1e6, -5);
    const tied = ["gemma", "gemma2", "gemma3_text", "cohere", "cohere2", "smollm3", "starcoder2"];
    for (const model_type of tied) expect(spec(model_type).tied_embeddings, model_type).toBe(true);
    for (const model_type of ["llama", "qwen2", "mistral", "olmo2", "granite", "glm4", "phi3"]) {
      expect(spec(model_type).tied_embeddings, model_type).toBe(false);
    }
    expect(spec("stablelm").ropes[0]!.d_rot).toBe(4);
    expect(spec("gpt_neox").ropes[0]!.d_rot).toBe(4);
    expect(spec("glm4", { head_dim: 16 }).ropes[0]!.d_rot).toBe(8);
    expect(spec("qwen3").d_head).toBe(128);
    expect(spec("qwen3_moe").d_head).toBe(16);
    expect(spec("gemma2", { final_logit_softcapping: null }).logit_softcap).toBe(null);
    expect(spec("gemma", { hidden_act: "gelu" }).activation).toBe("gelu_tanh");
    expect(spec("gpt_neox", { hidden_act: "gelu" }).activation).toBe("gelu");
  });

  test("experts have tensors of their own, the dense layers among them the usual ones", () => {
    const all = names("qwen3_moe", {
      num_experts: 3,
      num_experts_per_tok: 2,
      mlp_only_layers: [0],
      moe_intermediate_size: 8,
    });
    expect(all.filter((name) => name.startsWith("model.layers.0.mlp"))).toEqual(
      ["gate", "up", "down"].map((name) => `model.layers.0.mlp.${name}_proj.weight`),
    );
    expect(all.filter((name) => name.startsWith("model.layers.1.mlp")).length).toBe(1 + 3 * 3);
    expect(() => spec("mixtral", { num_local_experts: 2, num_experts_per_tok: 3 })).toThrow("at most 2");
  });
});

describe("any config", () => {
  const FIELDS = [
    ...Object.keys(SIZES),
    ...["head_dim", "sliding_window", "layer_types", "rope_theta", "partial_rotary_factor", "rope_scaling"],
    ...["rope_parameters", "hidden_act", "num_experts", "num_local_experts", "num_experts_per_tok"],
    ...["mlp_only_layers", "decoder_sparse_step", "no_rope_layers", "text_config", "eos_token_id", "n_head"],
    ...["attn_logit_softcapping", "query_pre_attn_scalar", "tie_word_embeddings", "use_sliding_window"],
  ];
  const scaling = fc.record(
    {
      rope_type: fc.constantFrom("linear", "dynamic", "yarn", "longrope", "llama3", "default", "spiral"),
      factor: fc.constantFrom(0, 1, 4, -1, 1e300, null),
      original_max_position_embeddings: fc.constantFrom(0, 1, 64, 1e300),
      rope_theta: fc.constantFrom(0, 1, 10_000, -5),
      short_factor: fc.array(fc.double(), { maxLength: 9 }),
      long_factor: fc.array(fc.double(), { maxLength: 9 }),
    },
    { requiredKeys: [] },
  );
  const value = fc.oneof(
    fc.constantFrom(null, 0, 1, 3, 16, 4096, 2 ** 31, -1, 0.5, 1e300, "", "gelu", true, false, {}, []),
    fc.array(fc.constantFrom("full_attention", "sliding_attention", 0, 1, null), { maxLength: 7 }),
    scaling,
  );
  const config = fc.tuple(
    fc.constantFrom(...knownArchitectures()),
    fc.dictionary(fc.constantFrom(...FIELDS), value, { maxKeys: 4 }),
  );

  test("gives a program or one clear error", () => {
    const property = fc.property(config, ([model_type, more]) => {
      try {
        const program = buildProgram(readDecoder({ ...SIZES, model_type, ...more }));
        expect(program.ops.at(-1)?.op).toBe("sample");
      } catch (error) {
        expect(error).toBeInstanceOf(CapstanError);
        expect((error as CapstanError).message).toMatch(/^read config.json.*: need .*, found /);
      }
    });
    fc.assert(property, { numRuns: 3000, seed: 20_261_121 });
  });
});
