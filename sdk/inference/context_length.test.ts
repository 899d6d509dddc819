import { describe, expect, test } from "vitest";
import { type RawConfig, readDecoder } from "../../models/index.ts";
import { chooseContext } from "./context_length.ts";

const LLAMA = {
  model_type: "llama",
  hidden_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 8,
  vocab_size: 10,
  max_position_embeddings: 32,
};
const rope = (rope_type: string, more: RawConfig) => ({ ...LLAMA, rope_parameters: { rope_type, ...more } });
const LLAMA3 = { low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 16 };
const LONG = { short_factor: [1, 1, 1, 1], long_factor: [2, 2, 2, 2], original_max_position_embeddings: 8 };
const GPT2 = { model_type: "gpt2", n_embd: 8, n_head: 2, n_layer: 1, vocab_size: 10, n_positions: 24 };

function choose(config: RawConfig, asked?: number): [number, string[]] {
  const said: string[] = [];
  return [chooseContext(readDecoder(config), asked, (text) => said.push(text)), said];
}

describe("the context that is loaded", () => {
  test("is the checkpoint's own where none is asked, and never cut", () => {
    expect(choose(LLAMA)).toEqual([32, []]);
    expect(choose(LLAMA, 5)).toEqual([5, []]);
    expect(choose(GPT2)).toEqual([24, []]);
    expect(choose(rope("yarn", { factor: 4 }))).toEqual([32, []]);
  });

  test.each<[string, RawConfig, number]>([
    ["none", LLAMA, 32],
    ["linear", rope("linear", { factor: 3 }), 96],
    ["dynamic", rope("dynamic", { factor: 2 }), 64],
    ["yarn", rope("yarn", { factor: 4 }), 128],
    ["yarn over a shorter original", rope("yarn", { factor: 4, original_max_position_embeddings: 16 }), 64],
    ["llama3", rope("llama3", { factor: 8, ...LLAMA3 }), 128],
    ["llama3 that config.json already counts", rope("llama3", { factor: 2, ...LLAMA3 }), 32],
    ["longrope", rope("longrope", { ...LONG, factor: 16 }), 128],
    ["longrope by its lengths", rope("longrope", LONG), 32],
  ])("goes as far as the scaling reaches without a word: %s", (_, config, most) => {
    expect(choose(config, most)).toEqual([most, []]);
    const beyond = expect.stringContaining(`n_ctx ${most + 1} is beyond the ${most} tokens`);
    expect(choose(config, most + 1)).toEqual([most + 1, [beyond]]);
  });

  test("ends where learned positions end", () => {
    expect(choose(GPT2, 24)).toEqual([24, []]);
    expect(() => choose(GPT2, 25)).toThrow(
      "n_ctx of at most 24, the positions that the model has learned, found 25",
    );
  });
});
