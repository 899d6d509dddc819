import { describe, expect, test } from "vitest";
import {
  buildProgram,
  knownArchitectures,
  type RawConfig,
  readDecoder,
  ropeRows,
  tensorSpecs,
} from "./index.ts";

const LLAMA: RawConfig = {
  model_type: "llama",
  hidden_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 24,
  vocab_size: 32,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  bos_token_id: 1,
  eos_token_id: [2, 3],
};
const LLAMA3_SCALING = {
  rope_type: "llama3",
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};

describe("readDecoder", () => {
  test.each([
    ["plain", { rope_theta: 500_000 }, { rope_parameters: { rope_type: "default", rope_theta: 500_000 } }],
    [
      "scaled",
      { rope_theta: 500_000, rope_scaling: LLAMA3_SCALING },
      { rope_parameters: { ...LLAMA3_SCALING, rope_theta: 500_000 } },
    ],
    [
      "scaled, its type under the old name",
      { rope_scaling: { type: "linear", factor: 4 } },
      { rope_parameters: { rope_type: "linear", factor: 4, rope_theta: 10_000 } },
    ],
    ["with nulls for what is absent", { rope_scaling: null, head_dim: null, attention_bias: null }, {}],
  ])("reads 4.x and 5.x files alike: %s", (_, old_style, new_style) => {
    const old_config = { ...LLAMA, ...old_style, torch_dtype: "bfloat16" };
    expect(readDecoder(old_config)).toEqual(readDecoder({ ...LLAMA, ...new_style, dtype: "bfloat16" }));
  });

  test("reads Llama's sizes, flags and ids", () => {
    expect(readDecoder(LLAMA).spec).toMatchObject({
      family: "llama",
      d_model: 16,
      n_layers: 2,
      n_heads: 4,
      n_kv_heads: 2,
      d_head: 4,
      d_mlp: 24,
      d_vocab: 32,
      n_ctx: 64,
      norm: { kind: "rms", eps: 1e-5 },
      qk_norm: "none",
      attn_scale: 0.5,
      tied_embeddings: false,
      bos_token_id: 1,
      eos_token_ids: [2, 3],
    });
    expect(readDecoder(LLAMA, { eos_token_id: [3, 7] }).spec.eos_token_ids).toEqual([2, 3, 7]);
  });

  test("gives Llama's tensors their shapes", () => {
    const config = { ...LLAMA, attention_bias: true, mlp_bias: true, head_dim: 8, tie_word_embeddings: true };
    const shapes = Object.fromEntries(
      tensorSpecs(buildProgram(readDecoder(config))).map(({ name, shape }) => [name, shape]),
    );
    expect(Object.keys(shapes)).toHaveLength(2 + 2 * 16);
    expect(shapes).toMatchObject({
      "model.embed_tokens.weight": [32, 16],
      "model.norm.weight": [16],
      "model.layers.0.input_layernorm.weight": [16],
      "model.layers.0.self_attn.q_proj.weight": [32, 16],
      "model.layers.0.self_attn.q_proj.bias": [32],
      "model.layers.0.self_attn.k_proj.weight": [16, 16],
      "model.layers.1.self_attn.v_proj.bias": [16],
      "model.layers.1.self_attn.o_proj.weight": [16, 32],
      "model.layers.1.self_attn.o_proj.bias": [16],
      "model.layers.1.post_attention_layernorm.weight": [16],
      "model.layers.1.mlp.gate_proj.weight": [24, 16],
      "model.layers.1.mlp.up_proj.bias": [24],
      "model.layers.1.mlp.down_proj.weight": [16, 24],
      "model.layers.1.mlp.down_proj.bias": [16],
    });
    expect(shapes).not.toHaveProperty(["lm_head.weight"]);
    const untied = tensorSpecs(buildProgram(readDecoder(LLAMA)));
    expect(untied.at(-1)).toEqual({ name: "lm_head.weight", shape: [32, 16] });
  });

  test("reads Qwen 3: heads of 128, norms on them, windows only where they are switched on", () => {
    const qwen3 = { ...LLAMA, model_type: "qwen3" };
    const { spec, tensors } = readDecoder(qwen3);
    expect(spec).toMatchObject({ d_head: 128, qk_norm: "head" });
    expect(tensors.layers[0]).toMatchObject({
      q_norm: [{ name: "model.layers.0.self_attn.q_norm.weight", shape: [128] }],
      k_norm: [{ name: "model.layers.0.self_attn.k_norm.weight", shape: [128] }],
    });
    const windows = (more: RawConfig) =>
      readDecoder({ ...qwen3, ...more }).spec.layers.map(({ window }) => window);
    expect(windows({ sliding_window: 8 })).toEqual([null, null]);
    expect(windows({ sliding_window: 8, use_sliding_window: true, max_window_layers: 1 })).toEqual([null, 8]);
    const layer_types = ["sliding_attention", "full_attention"];
    expect(windows({ sliding_window: 8, use_sliding_window: true, layer_types })).toEqual([8, null]);
  });

  test("names an architecture it does not know, and those it knows", () => {
    expect(knownArchitectures()).toContain("llama");
    for (const model_type of ["mamba", undefined, 3, "toString", "__proto__"]) {
      expect(() => readDecoder({ ...LLAMA, model_type })).toThrow(
        expect.objectContaining({
          code: "unsupported",
          message: expect.stringContaining(`need model_type ${knownArchitectures().join(" or ")}, found`),
        }),
      );
    }
    expect(() => readDecoder({ ...LLAMA, model_type: "ernie4_5_moe" })).toThrow(
      'found "ernie4_5_moe" (it has a selection bias in its router, and shared experts, not computed here)',
    );
  });

  test.each([
    [{ hidden_size: undefined }, "hidden_size (a whole number), found no such field"],
    [{ hidden_size: "16" }, 'hidden_size to be a whole number from 1 to 1048576, found "16"'],
    [{ hidden_size: 0 }, "hidden_size"],
    [{ hidden_size: -16 }, "hidden_size"],
    [{ hidden_size: 2 ** 40 }, "hidden_size"],
    [{ hidden_size: 18 }, "a multiple of num_attention_heads (4)"],
    [{ num_hidden_layers: 1.5 }, "num_hidden_layers"],
    [{ num_key_value_heads: 3 }, "a divisor of num_attention_heads (4)"],
    [{ vocab_size: null }, "vocab_size"],
    [{ rms_norm_eps: 0 }, "rms_norm_eps to be a number above 0"],
    [{ hidden_act: "relu6" }, 'hidden_act to be "silu"'],
    [{ attention_bias: "no" }, "attention_bias to be true or false"],
    [{ eos_token_id: [1, "x"] }, "eos_token_id to be token ids"],
    [{ rope_scaling: "linear" }, "rope_scaling to be an object"],
    [{ rope_scaling: { rope_type: "spiral" } }, 'rope_type to be "default" or '],
    [{ rope_scaling: { rope_type: "linear" } }, "need factor"],
    [{ rope_scaling: { ...LLAMA3_SCALING, factor: "8" } }, "factor"],
    [{ partial_rotary_factor: 0.3 }, "partial_rotary_factor"],
  ])("refuses %j", (change, text) => {
    expect(() => readDecoder({ ...LLAMA, ...change })).toThrow(
      expect.objectContaining({ message: expect.stringContaining(text) }),
    );
  });

  test.each([null, [], "x", 3])("refuses %j for a config", (config) => {
    expect(() => readDecoder(config as unknown as RawConfig)).toThrow("need an object");
  });
});

describe("rope", () => {
  // inv_freq and a row of the table as transformers 5.23 computes them (LlamaRotaryEmbedding, float32).
  const INV_FREQ = [
    1, 0.663601279258728, 0.44036662578582764, 0.2922278344631195, 0.193922758102417, 0.12868738174438477,
    0.08539710193872452, 0.05666961893439293, 0.03760603070259094, 0.02495540864765644, 0.016560440883040428,
    0.010989529080688953, 0.00729266507551074, 0.00483942124992609, 0.0032114461064338684,
    0.0013718936825171113, 0.0005248460220173001, 0.0001785077911335975, 7.784655463183299e-5,
    5.165906986803748e-5, 3.428102354519069e-5, 2.2748929040972143e-5, 1.5096217794052791e-5,
    1.0017868589784484e-5, 6.647869668086059e-6, 4.411534519022098e-6, 2.927499735960737e-6,
    1.9426925064180978e-6, 1.289173155782919e-6, 8.554969213037111e-7, 5.677088097399974e-7,
    3.76732259610435e-7,
  ];
  const COS_100000 = [-0.9993607997894287, -0.9655159711837769, -0.5736533999443054, 0.9518256783485413];
  const SIN_100000 = [0.03574879840016365, -0.2603437602519989, -0.819098174571991, -0.3066396415233612];
  const config = { ...LLAMA, head_dim: 64, rope_theta: 500_000, rope_scaling: LLAMA3_SCALING };

  test("has Llama 3.1's frequencies", () => {
    const { inv_freq, d_rot, attention_factor } = readDecoder(config).spec.ropes[0]!;
    expect([d_rot, attention_factor]).toEqual([64, 1]);
    for (const [j, need] of INV_FREQ.entries()) {
      // float32 has 24 bits; the reference computes these in float32 throughout.
      expect(Math.abs(inv_freq[j]! / need - 1), `inv_freq ${j}`).toBeLessThan(3e-7);
    }
  });

  test("has its angles far out, too", () => {
    const rope = readDecoder(config).spec.ropes[0]!;
    const { cos, sin } = ropeRows(rope, 99_999, 100_001);
    expect([cos.length, sin.length]).toEqual([64, 64]);
    for (const j of [0, 3]) {
      expect(cos[32 + j]).toBeCloseTo(COS_100000[j]!, 2);
      expect(sin[32 + j]).toBeCloseTo(SIN_100000[j]!, 2);
    }
    expect([cos[32], sin[32]]).toEqual([Math.fround(Math.cos(100_000)), Math.fround(Math.sin(100_000))]);
  });

  test("is scaled linearly, turns a part of a head, and stands still at position 0", () => {
    const linear = { ...LLAMA, head_dim: 8, rope_scaling: { type: "linear", factor: 4 } };
    const { inv_freq } = readDecoder(linear).spec.ropes[0]!;
    expect([...inv_freq].map(Math.fround)).toEqual(
      [0.25, 0.02500000037252903, 0.0024999999441206455, 0.0002500000118743628].map(Math.fround),
    );
    const partial = readDecoder({ ...LLAMA, head_dim: 8, partial_rotary_factor: 0.5 }).spec.ropes[0]!;
    expect([partial.d_rot, partial.inv_freq.length]).toEqual([4, 2]);
    expect(ropeRows(partial, 0, 1)).toEqual({ cos: Float32Array.of(1, 1), sin: Float32Array.of(0, 0) });
  });
});

describe("sizes beyond belief", () => {
  const MOE = { model_type: "qwen3_moe", num_experts_per_tok: 1, moe_intermediate_size: 8 };
  test.each([
    ["layers", { num_hidden_layers: 2 ** 31 - 1 }],
    ["width", { hidden_size: 2 ** 30 }],
    ["a head's width", { head_dim: 2 ** 30 }],
    ["heads", { num_attention_heads: 2 ** 30 }],
    ["experts in all", { ...MOE, num_hidden_layers: 4096, num_experts: 4096 }],
  ])("are refused before anything is made of them: %s", (_, change) => {
    expect(() => readDecoder({ ...LLAMA, ...change })).toThrow(
      expect.objectContaining({ code: "bad_config" }),
    );
  });
});
