import { describe, expect, test } from "vitest";
import { buildProgram, readDecoder, tensorSpecs } from "../../models/index.ts";
import { encodeSafetensors, type TensorData } from "../safetensors/index.ts";
import { memorySource } from "../source/index.ts";
import { findWeightFiles, modelDigest, openWeights, readDefaults, readModelConfig } from "./index.ts";

const CONFIG = {
  model_type: "llama",
  hidden_size: 8,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 12,
  vocab_size: 10,
  eos_token_id: 1,
  tie_word_embeddings: true,
};
const SPECS = tensorSpecs(buildProgram(readDecoder(CONFIG)));

/** The tensors of the small decoder, BF16, each filled with its own number. */
function tensors(change: Record<string, TensorData | null> = {}): Record<string, TensorData> {
  const all: Record<string, TensorData> = {};
  for (const [i, { name, shape }] of SPECS.entries()) {
    const size = shape.reduce((a, b) => a * b, 1);
    all[name] = { dtype: "BF16", shape, data: new Uint16Array(size).fill(i) };
  }
  for (const [name, tensor] of Object.entries(change)) {
    if (tensor === null) delete all[name];
    else all[name] = tensor;
  }
  return all;
}

const f32 = (...shape: number[]): TensorData => ({
  dtype: "F32",
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
});
const single = (change?: Record<string, TensorData | null>) =>
  memorySource({
    "config.json": JSON.stringify(CONFIG),
    "model.safetensors": encodeSafetensors(tensors(change)),
  });

function sharded(change: (map: Record<string, string>) => unknown = (weight_map) => ({ weight_map })) {
  const all = Object.entries(tensors());
  const half = { "a.safetensors": all.slice(0, 7), "b.safetensors": all.slice(7) };
  const map: Record<string, string> = {};
  for (const [file, part] of Object.entries(half)) for (const [name] of part) map[name] = file;
  return memorySource({
    "config.json": JSON.stringify(CONFIG),
    "a.safetensors": encodeSafetensors(Object.fromEntries(half["a.safetensors"])),
    "b.safetensors": encodeSafetensors(Object.fromEntries(half["b.safetensors"])),
    "model.safetensors.index.json": JSON.stringify(change(map)),
  });
}

describe("openWeights", () => {
  test.each([
    ["one file", single({ "lm_head.weight": f32(10, 8), "model.rotary.inv_freq": f32(2) })],
    ["shards", sharded()],
  ])("finds every tensor in %s", async (_, source) => {
    const weights = await openWeights(source, SPECS);
    for (const [i, { name, shape }] of SPECS.entries()) {
      const tensor = weights.tensor(name);
      expect(tensor).toMatchObject({ name, shape, dtype: "BF16" });
      expect([...(await tensor.read(2, 4))]).toEqual([i, 0]);
    }
    expect(() => weights.tensor("lm_head.weight")).toThrow("found lm_head.weight");
  });

  const norm = "model.norm.weight";
  test.each([
    [
      "a missing tensor",
      { [norm]: null },
      "load model.safetensors: need model.norm.weight [8], found no such tensor.",
    ],
    [
      "another length",
      { [norm]: f32(6) },
      "need model.norm.weight [8], found [6]. The file may be of another model",
    ],
    ["another rank", { [norm]: f32(8, 1) }, "found [8, 1]"],
    [
      "a dtype that weights do not have",
      { [norm]: { dtype: "F64", shape: [8], data: new Float64Array(8) } },
      "need model.norm.weight as F32, F16, BF16, F8_E4M3 or F8_E5M2, found F64",
    ],
  ] satisfies [string, Record<string, TensorData | null>, string][])(
    "refuses %s",
    async (_, change, text) => {
      const promise = openWeights(single(change), SPECS);
      await expect(promise).rejects.toMatchObject({
        code: "bad_weights",
        message: expect.stringContaining(text),
      });
    },
  );

  test.each([
    ["no map", () => ({}), "bad_file", "weight_map with a file for each tensor, found null"],
    ["an empty map", () => ({ weight_map: {} }), "bad_file", "found {}"],
    ["a list", () => [], "bad_file", "a JSON object"],
    ["a number for a file", (map: object) => ({ weight_map: { ...map, x: 3 } }), "bad_file", "found 3"],
    [
      "a path out of the folder",
      (map: object) => ({ weight_map: { ...map, x: "../x.safetensors" } }),
      "bad_file",
      "../",
    ],
    [
      "an absolute path",
      (map: object) => ({ weight_map: { ...map, x: "/x.safetensors" } }),
      "bad_file",
      "/x.",
    ],
    ["a pickle", (map: object) => ({ weight_map: { ...map, x: "x.bin" } }), "bad_file", "x.bin"],
    [
      "a missing shard",
      (map: object) => ({ weight_map: { ...map, x: "c.safetensors" } }),
      "not_found",
      "c.safetensors",
    ],
    [
      "a tensor nobody holds",
      ({ [norm]: _, ...map }: Record<string, string>) => ({ weight_map: map }),
      "bad_weights",
      "need model.norm.weight [8], found no such tensor",
    ],
    [
      "a tensor in another shard than it says",
      (map: object) => ({ weight_map: { ...map, [norm]: "a.safetensors" } }),
      "bad_weights",
      "load a.safetensors: need model.norm.weight",
    ],
  ])("refuses an index with %s", async (_, change, code, text) => {
    const promise = openWeights(sharded(change), SPECS);
    await expect(promise).rejects.toMatchObject({ code, message: expect.stringContaining(text) });
  });

  test("says what is missing when there are no weights", async () => {
    await expect(openWeights(memorySource({}), SPECS)).rejects.toThrow(
      "model.safetensors.index.json, found neither",
    );
    const pickled = memorySource({ "pytorch_model.bin": "x" });
    await expect(findWeightFiles(pickled)).rejects.toThrow("safe_serialization");
  });
});

describe("modelDigest", () => {
  test("is the same for the same files and another for any other", async () => {
    const digest = await modelDigest(single());
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await modelDigest(single())).toBe(digest);
    const others = [single({ "model.norm.weight": f32(8) }), sharded()];
    for (const other of others) expect(await modelDigest(other)).not.toBe(digest);
  });

  test("reads a sample of a large file, its ends included", async () => {
    const data = new Uint8Array(2 ** 20);
    const make = () => memorySource({ "config.json": "{}", "model.safetensors": file(data) });
    const file = (bytes: Uint8Array) =>
      encodeSafetensors({ x: { dtype: "U8", shape: [bytes.length], data: bytes } });
    const digest = await modelDigest(make());
    for (const at of [0, 4095, data.length - 4096, data.length - 1]) {
      data[at] = 1;
      expect(await modelDigest(make())).not.toBe(digest);
      data[at] = 0;
    }
    let bytes_read = 0;
    const source = make();
    const counting = {
      ...source,
      read: (name: string, start: number, end: number) => {
        bytes_read += end - start;
        return source.read(name, start, end);
      },
    };
    expect(await modelDigest(counting)).toBe(digest);
    expect(bytes_read).toBeLessThan(16 * 4096 + 1024);
  });
});

describe("readModelConfig", () => {
  test("joins config.json and generation_config.json", async () => {
    const source = memorySource({
      "config.json": JSON.stringify(CONFIG),
      "generation_config.json": JSON.stringify({
        eos_token_id: [1, 5],
        do_sample: true,
        temperature: 0.6,
        top_k: 20,
      }),
    });
    const { decoder, defaults } = await readModelConfig(source);
    expect(decoder.spec.eos_token_ids).toEqual([1, 5]);
    expect(defaults).toEqual({ temperature: 0.6, top_k: 20 });
  });

  test("needs config.json only", async () => {
    const { defaults, decoder } = await readModelConfig(single());
    expect([defaults, decoder.spec.eos_token_ids]).toEqual([{}, [1]]);
    await expect(readModelConfig(memorySource({}))).rejects.toMatchObject({ code: "not_found" });
  });

  test("do_sample: false is greedy; null is absent", () => {
    expect(readDefaults({ do_sample: false, temperature: null, top_p: 0.9 })).toEqual({
      temperature: 0,
      top_p: 0.9,
    });
  });

  test.each([{ temperature: -1 }, { top_p: "high" }, { top_k: 0.5 }, { repetition_penalty: 0 }])(
    "refuses %j",
    (generation) => expect(() => readDefaults(generation)).toThrow(Object.keys(generation)[0]),
  );
});
