import { describe, expect, test } from "vitest";
import { buildProgram, type RawConfig, readDecoder, tensorSpecs } from "./index.ts";

const SIZES: RawConfig = {
  hidden_size: 64,
  num_hidden_layers: 6,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 96,
  vocab_size: 32,
  max_position_embeddings: 128,
};

const YARN = { rope_type: "yarn", rope_theta: 1e6, factor: 8, original_max_position_embeddings: 32 };

function names(model_type: string, more: RawConfig = {}) {
  return tensorSpecs(buildProgram(readDecoder({ ...SIZES, model_type, ...more }))).map(({ name }) => name);
}

describe("the table of tensors", () => {
  test("OPT's positions begin in the third row of their table", () => {
    const { positions } = readDecoder({ ...SIZES, model_type: "opt" }).tensors;
    expect(positions).toMatchObject({ shape: [130, 64], rows: { start: 2, end: 130 } });
  });

  test("the head has a bias where the family has one", () => {
    expect(names("phi").at(-1)).toBe("lm_head.bias");
    expect(names("phi", { tie_word_embeddings: true }).slice(-2)).toEqual([
      "model.final_layernorm.bias",
      "lm_head.bias",
    ]);
    expect(names("llama").at(-1)).toBe("lm_head.weight");
  });
});

describe("the text part of a multimodal model", () => {
  test("a multimodal Mistral is what its text part is", () => {
    const rope_parameters = { ...YARN, llama_4_scaling_beta: 0.1 };
    const text_config = { ...SIZES, model_type: "ministral3", head_dim: 8, eos_token_id: 2, rope_parameters };
    const read = readDecoder({ model_type: "mistral3", text_config, eos_token_id: 5 }).spec;
    expect(read).toMatchObject({ family: "ministral3", d_head: 8, eos_token_ids: [5, 2] });
    expect(read.q_scale).toEqual({ beta: 0.1, every: 32 });
    expect(read.tied_embeddings).toBe(true);
    const mistral = { ...SIZES, sliding_window: 8 };
    const plain = readDecoder({ model_type: "mistral3", text_config: mistral, tie_word_embeddings: false });
    expect(plain.spec).toMatchObject({ family: "mistral", tied_embeddings: false });
    expect(plain.spec.layers[0]!.window).toBe(8);
  });

  test("fills in what it leaves out", () => {
    const text_config = {
      hidden_size: 2560,
      intermediate_size: 10_240,
      num_hidden_layers: 34,
      sliding_window: 1024,
    };
    const config = { model_type: "gemma3", eos_token_id: [1, 106], text_config, vision_config: {} };
    const read = readDecoder(config).spec;
    expect(read).toMatchObject({
      n_heads: 8,
      n_kv_heads: 4,
      d_head: 256,
      d_vocab: 262_208,
      eos_token_ids: [1, 106],
    });
    expect(read.layers.filter(({ window }) => window === null).length).toBe(5);
    expect(() => readDecoder({ model_type: "gemma3" })).toThrow("text_config");
  });
});
