import { describe, expect, test } from "vitest";
import { createWasmDevice } from "../core-wasm/index.ts";
import { buildProgram, type Device, type RawConfig, readDecoder, tensorSpecs } from "../models/index.ts";
import { load, loadOn } from "./load.ts";
import { engine } from "./platform/engine.ts";
import { encodeSafetensors, type TensorData } from "./safetensors/index.ts";
import { memorySource } from "./source/index.ts";

const CONFIG = {
  model_type: "llama",
  hidden_size: 8,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 12,
  vocab_size: 10,
  max_position_embeddings: 16,
};

/** A small model of zeros and ones, each tensor in the dtype that is wanted of its name. */
function model(dtype: (name: string) => "F32" | "BF16" | "F16" = () => "F32", config: RawConfig = {}) {
  const specs = tensorSpecs(buildProgram(readDecoder({ ...CONFIG, ...config })));
  const tensors = specs.map(({ name, shape }): [string, TensorData] => {
    const count = shape.reduce((a, b) => a * b, 1);
    const is_wide = dtype(name) === "F32";
    return [
      name,
      { dtype: dtype(name), shape, data: is_wide ? new Float32Array(count) : new Uint16Array(count) },
    ];
  });
  return {
    "config.json": JSON.stringify({ ...CONFIG, ...config }),
    "model.safetensors": encodeSafetensors(Object.fromEntries(tensors)),
  };
}

describe("the dtype that a model is kept in", () => {
  const is_mlp = (name: string) => name.includes("mlp");
  test.each([
    ["f32 as the file has it", model(), "auto", "f32"],
    ["bf16 as the file has it", model(() => "BF16"), "auto", "bf16"],
    ["as asked", model(() => "BF16"), "f16", "f16"],
    ["bf16 as asked", model(), "bf16", "bf16"],
    ["several", model((name) => (is_mlp(name) ? "BF16" : "F32")), "auto", "mixed"],
    ["one, whatever the norms have", model((name) => (name.includes("norm") ? "F32" : "F16")), "auto", "f16"],
  ] as const)("is the model's to say: %s", async (_, files, dtype, kept) => {
    await using loaded = await load(memorySource(files), { device: "wasm", dtype });
    expect(loaded.device.dtype).toBe(kept);
    expect(loaded.device.description.includes("; weights in ")).toBe(kept === "mixed");
  });

  test("mixed says what is mixed, the greatest part first", async () => {
    const files = model((name) => (is_mlp(name) ? "BF16" : "F32"));
    await using loaded = await load(memorySource(files), { device: "wasm" });
    expect(loaded.device.description).toMatch(/; weights in f32 and bf16$/);
  });
});

describe("a context that no cache holds", () => {
  const small = async () => {
    const device = createWasmDevice(await engine());
    const inner = device.load.bind(device);
    const load: Device["load"] = async (...args) => {
      const made = await inner(...args);
      return Object.assign(made, { memory: { ...made.memory, max_blocks: 3 } });
    };
    return Object.assign(device, { load });
  };
  const files = model(() => "F32", { max_position_embeddings: 200 });

  test("is cut to what one holds where it is the model's own, and said", async () => {
    await using loaded = await loadOn(memorySource(files), {}, small);
    expect(loaded.n_ctx).toBe(48);
    expect(loaded.warnings).toEqual([
      expect.stringContaining("a cache of 200 tokens, and this device holds 48"),
    ]);
    await loaded.forward(new Array(48).fill(1));
    await expect(loaded.forward(new Array(49).fill(1))).rejects.toMatchObject({ code: "context_overflow" });
  });

  test("stays where it was asked for, and said; what does not fit finds no memory", async () => {
    await using loaded = await loadOn(memorySource(files), { n_ctx: 100 }, small);
    expect(loaded.n_ctx).toBe(100);
    expect(loaded.warnings).toEqual([expect.stringContaining("n_ctx 100 needs a cache of 100 tokens")]);
    await loaded.forward(new Array(48).fill(1));
    await expect(loaded.forward(new Array(49).fill(1))).rejects.toMatchObject({ code: "out_of_memory" });
  });
});

describe("warnings", () => {
  test("are none for a model as it should be", async () => {
    await using loaded = await load(memorySource(model()), { device: "wasm" });
    expect([loaded.warnings, loaded.n_ctx]).toEqual([[], 16]);
  });

  test("are kept, each once, and the model runs", async () => {
    const files = { ...model(), "generation_config.json": '{"top_k": -1, "eos_token_id": -1}' };
    await using loaded = await load(memorySource(files), { device: "wasm", n_ctx: 40 });
    expect(loaded.warnings).toEqual([
      expect.stringContaining("eos_token_id -1"),
      expect.stringContaining("top_k -1"),
      "n_ctx 40 is beyond the 16 tokens that config.json allows: positions are extrapolated.",
    ]);
    expect(loaded.n_ctx).toBe(40);
    await loaded.forward(new Array(40).fill(1), { logits: "none" });
    await expect(loaded.forward(new Array(41).fill(1))).rejects.toMatchObject({ code: "context_overflow" });
  });
});
