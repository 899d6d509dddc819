import { describe, expect, test } from "vitest";
import { createWasmDevice } from "../../core-wasm/index.ts";
import {
  buildProgram,
  type Device,
  type DeviceMemory,
  type RawConfig,
  readDecoder,
  tensorSpecs,
} from "../../models/index.ts";
import { encodeSafetensors, type TensorData } from "../checkpoint/safetensors/index.ts";
import { memorySource } from "../checkpoint/source/index.ts";
import { engine } from "../platform/engine.ts";
import { chooseLimits, load, loadOn } from "./load.ts";

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

describe("the device", () => {
  /** What was done to devices, in order, by a load of these files. */
  async function deviceOf(source: string | Record<string, string | Uint8Array>): Promise<string[]> {
    const done: string[] = [];
    const make = async () => {
      done.push("opened");
      const device = createWasmDevice(await engine());
      const dispose = device.dispose.bind(device);
      const disposed = () => {
        done.push("disposed");
        return dispose();
      };
      return Object.assign(device, { dispose: disposed });
    };
    const files = typeof source === "string" ? source : memorySource(source);
    await loadOn(files, {}, make).then(
      (model) => model.dispose(),
      ({ code }) => done.push(code),
    );
    return done;
  }

  test.each([
    ["a folder that is not there", "no/such/folder", "not_found"],
    ["a config that is none", { ...model(), "config.json": "{" }, "bad_file"],
    ["weights that are none", { ...model(), "model.safetensors": new Uint8Array(20) }, "bad_file"],
    [
      "weights of another model",
      { ...model(), "config.json": JSON.stringify({ ...CONFIG, vocab_size: 9 }) },
      "bad_weights",
    ],
  ])("is not opened for files that cannot be read: %s", async (_, source, code) => {
    expect(await deviceOf(source)).toEqual([code]);
  });

  test("is disposed of where weights turn out to be broken, and with its model", async () => {
    const infinite = Float32Array.from({ length: 8 }, () => Number.POSITIVE_INFINITY);
    const specs = tensorSpecs(buildProgram(readDecoder(CONFIG)));
    const tensors = specs.map(({ name, shape }): [string, TensorData] => {
      const data =
        name === "model.norm.weight" ? infinite : new Float32Array(shape.reduce((a, b) => a * b, 1));
      return [name, { dtype: "F32", shape, data }];
    });
    const broken = { ...model(), "model.safetensors": encodeSafetensors(Object.fromEntries(tensors)) };
    expect(await deviceOf(broken)).toEqual(["opened", "disposed", "bad_weights"]);
    expect(await deviceOf(model())).toEqual(["opened", "disposed"]);
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

describe("the cache's budget", () => {
  const GIB = 2 ** 30;
  const of = (changes: Partial<DeviceMemory>) => ({
    block_size: 16,
    memory: { weight_bytes: 0, block_bytes: 2 ** 20, max_blocks: 4000, in_system_memory: true, ...changes },
  });
  test.each([
    ["a quarter of what is free", of({}), 64, 2 * GIB, 512],
    ["a gibibyte at most", of({}), 64, 100 * GIB, 1024],
    ["a little, however full the machine is", of({}), 64, 0, 64],
    ["one sequence at least", of({}), 2048, 0, 128],
    [
      "what the device leaves beside the weights, whatever is free",
      of({ max_blocks: 9 }),
      2048,
      100 * GIB,
      9,
    ],
    ["not the system's memory where it lies in a GPU's", of({ in_system_memory: false }), 64, 0, 1024],
  ])("is %s", (_, device, n_ctx, available, blocks) => {
    expect(chooseLimits(device, n_ctx, available).max_blocks).toBe(blocks);
  });

  test("on WASM is what 4 GiB leave beside the weights and a step", async () => {
    const large = { vocab_size: 40_000, hidden_size: 64, num_attention_heads: 4, intermediate_size: 64 };
    const blocksOf = async (config: RawConfig) => {
      let blocks = 0;
      const seeing = async () => {
        const wasm = createWasmDevice(await engine());
        const inner = wasm.load.bind(wasm);
        return Object.assign(wasm, {
          load: async (...args: Parameters<Device["load"]>) => {
            const loaded = await inner(...args);
            blocks = loaded.memory.max_blocks * loaded.memory.block_bytes;
            return loaded;
          },
        });
      };
      await (await loadOn(memorySource(model(() => "F32", config)), {}, seeing)).dispose();
      return blocks;
    };
    const [small, big] = [await blocksOf({ ...large, vocab_size: 10 }), await blocksOf(large)];
    const weights = 4 * 64 * 39_990;
    expect(small - big).toBeGreaterThan(0.95 * weights);
    expect(small).toBeLessThan(4 * GIB - 64 * 2 ** 20);
  });
});
