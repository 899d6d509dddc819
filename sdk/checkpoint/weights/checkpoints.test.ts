import { describe, expect, test } from "vitest";
import {
  buildProgram,
  type Decoder,
  readDecoder,
  tensorSpecs,
  type WeightTensor,
} from "../../../models/index.ts";
import { createDevice } from "../../inference/devices.ts";
import { load } from "../../inference/load.ts";
import type { FileSource } from "../../types.ts";
import { decodeSafetensors, encodeSafetensors, type TensorData } from "../safetensors/index.ts";
import { memorySource } from "../source/index.ts";
import { openWeights } from "./index.ts";
import { weightSource } from "./part.ts";

/** The ways checkpoints are published: under other prefixes, in shards, in 8 bits. */

const CONFIG = {
  model_type: "llama",
  hidden_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 24,
  vocab_size: 20,
};
const decoderOf = (change: object = {}): Decoder => readDecoder({ ...CONFIG, ...change });
const specsOf = (change: object = {}) => tensorSpecs(buildProgram(decoderOf(change)));

/** Numbers in [-1, 1) that depend on the seed alone. */
function numbers(count: number, seed: number): Float32Array {
  let state = seed * 2654435761 + 1;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

type Tensors = Record<string, TensorData>;

function tensorsOf(change: object = {}): Tensors {
  const entries = specsOf(change).map(({ name, shape }, i): [string, TensorData] => {
    const count = shape.reduce((a, b) => a * b, 1);
    return [name, { dtype: "F32", shape, data: numbers(count, i) }];
  });
  return Object.fromEntries(entries);
}

function renamed(tensors: Tensors, name: (old: string) => string): Tensors {
  return Object.fromEntries(Object.entries(tensors).map(([old, tensor]) => [name(old), tensor]));
}

function source(tensors: Tensors, config: object = {}): FileSource {
  return memorySource({
    "config.json": JSON.stringify({ ...CONFIG, ...config }),
    "model.safetensors": encodeSafetensors(tensors),
  });
}

async function logits(files: FileSource, dtype: "auto" | "f32" = "auto"): Promise<number[]> {
  await using model = await load(files, { dtype });
  return [...(await model.forward([1, 2, 3], { logits: "last" })).logits];
}

describe("prefixes", () => {
  const inside = (wrapper: string) => (name: string) => name.replace(/^model\./, wrapper);
  test.each([
    ["none", inside("")],
    ["language_model.model.", (name: string) => `language_model.${name}`],
    ["model.language_model.", inside("model.language_model.")],
    [
      "model.language_model. with its head inside",
      (name: string) => `model.language_model.${name.replace(/^model\./, "")}`,
    ],
  ])("%s: the same model", async (_, rename) => {
    const tensors = tensorsOf();
    const tower: Tensors = { "vision_tower.embed_tokens.weight": tensors["model.norm.weight"]! };
    const files = source({ ...renamed(tensors, rename), ...tower });
    expect(await logits(files)).toEqual(await logits(source(tensors)));
  });

  test("resolve in shards", async () => {
    const tensors = renamed(tensorsOf(), (name) => `language_model.${name}`);
    const entries = Object.entries(tensors);
    const shards = { "a.safetensors": entries.slice(0, 8), "b.safetensors": entries.slice(8) };
    const weight_map = Object.fromEntries(
      Object.entries(shards).flatMap(([file, part]) => part.map(([name]) => [name, file])),
    );
    const files = memorySource({
      "config.json": JSON.stringify(CONFIG),
      "model.safetensors.index.json": JSON.stringify({ weight_map }),
      "a.safetensors": encodeSafetensors(Object.fromEntries(shards["a.safetensors"])),
      "b.safetensors": encodeSafetensors(Object.fromEntries(shards["b.safetensors"])),
    });
    expect(await logits(files)).toEqual(await logits(source(tensorsOf())));
  });

  test("what is missing is named as the checkpoint would name it", async () => {
    const tensors = renamed(tensorsOf(), (name) => `language_model.${name}`);
    delete tensors["language_model.model.norm.weight"];
    await expect(openWeights(source(tensors), specsOf())).rejects.toThrow(
      "need language_model.model.norm.weight [16], found no such tensor",
    );
  });
});

describe("8-bit floats", () => {
  const Q = "model.layers.0.self_attn.q_proj.weight";
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => ((i * 37) % 120) | ((i % 2) << 7));
  const FP8 = { quantization_config: { quant_method: "fp8", weight_block_size: [12, 10] } };
  const float = (...shape: number[]): TensorData => {
    const count = shape.reduce((a, b) => a * b, 1);
    return { dtype: "F32", shape, data: numbers(count, 99).map((x) => x + 2) };
  };
  const withQ = (dtype: "F8_E4M3" | "F8_E5M2", more: Tensors): Tensors => ({
    ...tensorsOf(),
    [Q]: { dtype, shape: [16, 16], data: bytes },
    ...more,
  });
  const open = async (tensors: Tensors, config: Record<string, unknown>): Promise<WeightTensor> =>
    (await openWeights(source(tensors, config), specsOf(), config)).tensor(Q);
  const floats = async (tensor: WeightTensor) => {
    const data = await tensor.read(0, tensor.byte_length);
    return new Float32Array(data.slice().buffer);
  };
  const e4m3 = (byte: number) => {
    const size = byte & 127;
    const value = size < 8 ? size / 512 : (8 + (size & 7)) * 2 ** ((size >> 3) - 10);
    return byte & 128 ? -value : value;
  };

  test.each([
    [
      "block scales, the last blocks cut",
      "_scale_inv",
      [2, 2],
      (i: number, j: number) => ((i / 12) | 0) * 2 + ((j / 10) | 0),
    ],
    ["one scale a row", "_scale", [16, 1], (i: number) => i],
    ["one scale", "_scale", [1], () => 0],
    ["a bare scale", "_scale", [], () => 0],
  ] as [string, string, number[], (i: number, j: number) => number][])(
    "%s: every value is the product, rounded once",
    async (_, suffix, shape, scale_at) => {
      const scale = float(...shape);
      const tensor = await open(withQ("F8_E4M3", { [Q + suffix]: scale }), FP8);
      expect(tensor).toMatchObject({ dtype: "F32", shape: [16, 16], byte_length: 1024 });
      const scales = scale.data as Float32Array;
      const need = Float32Array.from(bytes, (byte, n) => e4m3(byte) * scales[scale_at(n >> 4, n & 15)]!);
      expect(await floats(tensor)).toEqual(need);
      // Any range gives the same bytes.
      const whole = await tensor.read(0, 1024);
      for (const [start, end] of [
        [0, 4],
        [62, 67],
        [1000, 1024],
        [5, 5],
        [251, 777],
      ] as const) {
        expect(await tensor.read(start, end)).toEqual(whole.slice(start, end));
      }
    },
  );

  test("scales in bfloat16 and as powers of two", async () => {
    const bf16: TensorData = { dtype: "BF16", shape: [1], data: Uint16Array.of(0x3fc0) };
    const e8m0: TensorData = { dtype: "F8_E8M0", shape: [1], data: Uint8Array.of(125) };
    const of = async (scale: TensorData) =>
      floats(await open(withQ("F8_E4M3", { [`${Q}_scale`]: scale }), FP8));
    expect(await of(bf16)).toEqual(Float32Array.from(bytes, (byte) => e4m3(byte) * 1.5));
    expect(await of(e8m0)).toEqual(Float32Array.from(bytes, (byte) => e4m3(byte) / 4));
  });

  test.each(["F8_E4M3", "F8_E5M2"] as const)(
    "%s without scales is exact in half precision",
    async (dtype) => {
      const tensor = await open(withQ(dtype, {}), {});
      expect(tensor.dtype).toBe("F16");
      const as_f16 = encodeSafetensors({
        x: { dtype: "F16", shape: [256], data: await tensor.read(0, tensor.byte_length) },
        y: { dtype, shape: [256], data: bytes },
      });
      const { tensors } = decodeSafetensors(as_f16);
      expect(tensors.get("x")!.float32()).toEqual(tensors.get("y")!.float32());
    },
  );

  test("run as their decoded values do", async () => {
    const scale = float(2, 2);
    const quantized = withQ("F8_E4M3", { [`${Q}_scale_inv`]: scale });
    const decoded = await floats(await open(quantized, FP8));
    const plain = { ...tensorsOf(), [Q]: { dtype: "F32", shape: [16, 16], data: decoded } as TensorData };
    expect(await logits(source(quantized, FP8))).toEqual(await logits(source(plain)));
  });

  test.each([
    ["no scales, though quantized", {}, FP8, "weight_scale_inv or"],
    ["too few blocks", { [`${Q}_scale_inv`]: float(1, 2) }, FP8, "found F32 [1, 2]"],
    ["too many blocks", { [`${Q}_scale_inv`]: float(3, 2) }, FP8, "found F32 [3, 2]"],
    [
      "scales of integers",
      { [`${Q}_scale`]: { dtype: "I32", shape: [1], data: Int32Array.of(1) } },
      FP8,
      "found I32",
    ],
    ["8-bit integers", { [Q]: { dtype: "I8", shape: [16, 16], data: bytes } }, FP8, "F8_E5M2, found I8"],
    ["a config that is none", {}, { quantization_config: 3 }, "quantization_config as an object, found 3"],
  ] as [string, Tensors, Record<string, unknown>, string][])("refuses %s", async (_, more, config, text) => {
    await expect(open(withQ("F8_E4M3", more), config)).rejects.toThrow(text);
  });

  test("NaN in a weight is named", async () => {
    const nan = bytes.slice();
    nan[77] = 0x7f;
    const tensors = withQ("F8_E4M3", { [Q]: { dtype: "F8_E4M3", shape: [16, 16], data: nan } });
    await expect(load(source(tensors))).rejects.toThrow(`finite numbers in ${Q}, found`);
  });

  test("of other methods are refused by name", async () => {
    const { [Q]: _, ...rest } = tensorsOf();
    const packed: Tensors = {
      ...rest,
      [Q.replace("weight", "qweight")]: { dtype: "I32", shape: [2], data: Int32Array.of(1, 2) },
    };
    const config = { quantization_config: { quant_method: "awq" } };
    await expect(load(source(packed, config))).rejects.toThrow('quantized with "awq"');
  });
});

test("while a model loads, no more than one tensor is on its way", async () => {
  const tensors = tensorsOf();
  const largest = Math.max(...Object.values(tensors).map(({ data }) => data.byteLength));
  const files = source(tensors);
  let on_the_way = 0;
  let most = 0;
  let loading = false;
  const counting: FileSource = {
    size: files.size,
    async read(name, start, end) {
      const weight_bytes = loading && name === "model.safetensors" ? end - start : 0;
      on_the_way += weight_bytes;
      most = Math.max(most, on_the_way);
      await new Promise((resolve) => setTimeout(resolve, 0));
      on_the_way -= weight_bytes;
      return await files.read(name, start, end);
    },
  };
  const weights = await openWeights(counting, specsOf());
  loading = true;
  const device = await createDevice({});
  const decoder = decoderOf();
  await device.load(buildProgram(decoder), weightSource(weights), {
    dtype: "auto",
    n_ctx: 64,
    ropes: decoder.spec.ropes,
  });
  await device.dispose();
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(largest);
});
