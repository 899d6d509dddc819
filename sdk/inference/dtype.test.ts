import { expect, it } from "vitest";
import { buildProgram, readDecoder, type WeightSource } from "../../models/index.ts";
import { chooseDtype } from "./dtype.ts";

/** Llama 3.2 1B, and the same with fewer layers. */
const program = (num_hidden_layers: number) =>
  buildProgram(
    readDecoder({
      model_type: "llama",
      hidden_size: 2048,
      intermediate_size: 8192,
      num_hidden_layers,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      vocab_size: 128_256,
      tie_word_embeddings: true,
    }),
  );

/** Files that say how large they are, and are never read. */
const files = (dtype: "F32" | "BF16"): WeightSource => ({
  parts: ({ count, rows, cols, parts }) => {
    const byte_length = count * rows * cols * (dtype === "F32" ? 4 : 2);
    const read = () => Promise.reject(new Error("read"));
    return [{ name: parts[0]!.name, dtype, shape: [count * rows, cols], byte_length, read }];
  },
});

it("is q8 on the CPU for a model of more than a gibibyte, and says so", () => {
  const chosen = chooseDtype("auto", "wasm", program(16), files("BF16"));
  expect(chosen.dtype).toBe("q8");
  expect(chosen.note).toBe('q8 of 2.5 GB of weights (dtype "f32" or "bf16" keeps them exact)');
});

it("is what the file has for a smaller one, counted in the file's bytes", () => {
  expect(chooseDtype("auto", "wasm", program(4), files("BF16"))).toEqual({ dtype: "auto", note: null });
  expect(chooseDtype("auto", "wasm", program(4), files("F32")).dtype).toBe("q8");
});

it("is left to a GPU, and never against what was asked", () => {
  expect(chooseDtype("auto", "webgpu", program(16), files("BF16")).dtype).toBe("auto");
  expect(chooseDtype("f32", "wasm", program(16), files("BF16"))).toEqual({ dtype: "f32", note: null });
});
