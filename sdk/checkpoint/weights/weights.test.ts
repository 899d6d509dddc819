import { describe, expect, test } from "vitest";
import { buildProgram, readDecoder, tensorSpecs } from "../../../models/index.ts";
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
  const embed = "model.embed_tokens.weight";
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
      { [norm]: { dtype: "I32", shape: [8], data: new Int32Array(8) } },
      "need model.norm.weight as F64, F32, F16, BF16, F8_E4M3 or F8_E5M2, found I32",
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
  ])("refuses an index with %s", async (_, change, code, text) => {
    const promise = openWeights(sharded(change), SPECS);
    await expect(promise).rejects.toMatchObject({ code, message: expect.stringContaining(text) });
  });

  const WRONG = "model.safetensors.index.json is wrong about the file of";
  test.each([
    ["leaves a tensor out", ({ [norm]: _, ...map }: Record<string, string>) => map, [`${WRONG} ${norm}:`]],
    [
      "names another shard",
      (map: object) => ({ ...map, [norm]: "a.safetensors", [embed]: "b.safetensors" }),
      [`${WRONG} ${embed} and 1 more:`],
    ],
    [
      "names all shards, and nothing else right",
      () => ({ x: "a.safetensors", y: "b.safetensors" }),
      [`${WRONG} ${embed} and ${SPECS.length - 1} more:`],
    ],
    [
      "names tensors that nobody has",
      (map: object) => ({ ...map, "model.layers.9.norm.weight": "a.safetensors" }),
      [],
    ],
  ])("where the index %s, the shards' own headers count", async (_, change, warnings) => {
    const files = sharded((map) => ({ weight_map: change(map) }));
    const said: string[] = [];
    const weights = await openWeights(files, SPECS, CONFIG, { warn: (text) => said.push(text) });
    for (const [i, { name }] of SPECS.entries()) {
      expect([...(await weights.tensor(name).read(2, 4))]).toEqual([i, 0]);
    }
    expect(said).toEqual(warnings.map((text) => expect.stringContaining(text)));
  });

  test("a tensor that no shard has is missing, whatever the index says", async () => {
    const { [norm]: _, ...rest } = tensors();
    const files = memorySource({
      "a.safetensors": encodeSafetensors(rest),
      "model.safetensors.index.json": JSON.stringify({ weight_map: { [norm]: "a.safetensors" } }),
    });
    await expect(openWeights(files, SPECS)).rejects.toThrow(
      "load model.safetensors.index.json: need model.norm.weight [8], found no such tensor",
    );
  });

  test("of a tensor in two shards the last one's counts, and it is said", async () => {
    const other: TensorData = { dtype: "BF16", shape: [8], data: new Uint16Array(8).fill(77) };
    const files = memorySource({
      "a.safetensors": encodeSafetensors(tensors()),
      "b.safetensors": encodeSafetensors({ [norm]: other }),
      "model.safetensors.index.json": JSON.stringify({
        weight_map: {
          ...Object.fromEntries(SPECS.map(({ name }) => [name, "a.safetensors"])),
          [norm]: "b.safetensors",
        },
      }),
    });
    const said: string[] = [];
    const weights = await openWeights(files, SPECS, CONFIG, { warn: (text) => said.push(text) });
    expect([...(await weights.tensor(norm).read(0, 2))]).toEqual([77, 0]);
    expect(said).toEqual([`More than one shard has ${norm}: the last shard's is used.`]);
  });

  test("shards without an index are found by their names, all of them or none", async () => {
    const all = Object.entries(tensors());
    const files = {
      "model-00001-of-00002.safetensors": encodeSafetensors(Object.fromEntries(all.slice(0, 7))),
      "model-00002-of-00002.safetensors": encodeSafetensors(Object.fromEntries(all.slice(7))),
    };
    const said: string[] = [];
    const weights = await openWeights(memorySource(files), SPECS, CONFIG, {
      warn: (text) => said.push(text),
    });
    expect([...(await weights.tensor(norm).read(0, 2))]).toEqual([
      SPECS.findIndex(({ name }) => name === norm),
      0,
    ]);
    expect(said).toEqual([expect.stringContaining("the 2 shards were found by their names")]);
    const { "model-00002-of-00002.safetensors": _, ...first } = files;
    await expect(openWeights(memorySource(first), SPECS)).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining('"model-00002-of-00002.safetensors", one of 2 shards'),
    });
  });

  test("weights of 64 bits are rounded to float32, and refused where that has no such number", async () => {
    const f64 = (values: number[]): TensorData => ({
      dtype: "F64",
      shape: [8],
      data: Float64Array.from(values),
    });
    const values = [0.1, -1 / 3, 1e-320, 3.4028234663852886e38, 2 ** 128 - 2 ** 103 - 2 ** 80, -0, 1e-45, 2];
    const weights = await openWeights(single({ [norm]: f64(values) }), SPECS);
    const tensor = weights.tensor(norm);
    expect(tensor).toMatchObject({ dtype: "F32", shape: [8], byte_length: 32 });
    const whole = await tensor.read(0, 32);
    expect(new Float32Array(whole.slice().buffer)).toEqual(Float32Array.from(values));
    expect(await tensor.read(6, 21)).toEqual(whole.slice(6, 21));
    const wide = await openWeights(single({ [norm]: f64([1, 2, 3, 4, 5, -1e300, 7, 8]) }), SPECS);
    await expect(wide.tensor(norm).read(0, 32)).rejects.toMatchObject({
      code: "bad_weights",
      message: expect.stringContaining("within the range of float32, found -1e+300 at element 5"),
    });
  });

  test("tensors that nobody reads may hold anything", async () => {
    const unread: Record<string, TensorData> = {
      "model.layers.0.self_attn.rotary_emb.inv_freq": {
        dtype: "F32",
        shape: [2],
        data: Float32Array.of(Number.NaN, 1),
      },
      "model.position_ids": { dtype: "I64", shape: [1, 2], data: new BigInt64Array(2) },
      "model.mask": { dtype: "BOOL", shape: [3], data: new Uint8Array(3) },
      "vision.a": { dtype: "F4", shape: [4], data: new Uint8Array(2) },
      "vision.b": { dtype: "F6_E2M3", shape: [4], data: new Uint8Array(3) },
      "vision.c": { dtype: "F8_E4M3FNUZ", shape: [3], data: new Uint8Array(3) },
      "vision.d": { dtype: "C64", shape: [1], data: new Uint8Array(8) },
    };
    const said: string[] = [];
    await openWeights(single(unread), SPECS, CONFIG, { warn: (text) => said.push(text) });
    expect(said).toEqual([]);
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

  test.each([
    [{ top_k: -1, temperature: 0.7 }, { temperature: 0.7 }, "top_k -1 where a whole number from 0 is"],
    [{ temperature: -1 }, {}, "temperature -1 where a number from 0 to 100 is"],
    [{ temperature: Number.POSITIVE_INFINITY, top_p: 0.5 }, { top_p: 0.5 }, "temperature Infinity where"],
    [{ top_p: "high", min_p: 0 }, { min_p: 0 }, 'top_p "high" where a number from 0 to 1 is'],
    [{ top_k: 0.5 }, {}, "top_k 0.5 where"],
    [{ repetition_penalty: 0 }, {}, "repetition_penalty 0 where"],
    [{ repetition_penalty: Number.NaN, top_k: 0 }, { top_k: 0 }, "repetition_penalty NaN where"],
    [{ do_sample: "no", temperature: 1 }, { temperature: 1 }, 'do_sample "no" where true or false is'],
    [{ top_k: null, temperature: null, do_sample: null }, {}, null],
  ])("of %j what means nothing is passed over and said", (generation, defaults, text) => {
    const said: string[] = [];
    expect(readDefaults(generation, (warning) => said.push(warning))).toEqual(defaults);
    expect(said).toEqual(
      text === null ? [] : [expect.stringContaining(`generation_config.json has ${text}`)],
    );
  });

  test.each([
    ["-1 for an id", { eos_token_id: -1 }, {}, [], ["eos_token_id -1"]],
    ["null for ids", { eos_token_id: null, bos_token_id: null, pad_token_id: -1 }, {}, [], []],
    [
      "ids among others",
      { eos_token_id: [3, -1] },
      { eos_token_id: [4, null] },
      [3, 4],
      ["[3,-1]", "[4,null]"],
    ],
    ["a text for an id", {}, { eos_token_id: "</s>" }, [1], ['eos_token_id "</s>"']],
  ])("%s is no reason to refuse a model", async (_, config, generation, ids, texts) => {
    const said: string[] = [];
    const files = memorySource({
      "config.json": JSON.stringify({ ...CONFIG, ...config }),
      "generation_config.json": JSON.stringify(generation),
    });
    const { decoder } = await readModelConfig(files, (text) => said.push(text));
    expect(decoder.spec.eos_token_ids).toEqual(ids);
    expect(said).toEqual(texts.map((text) => expect.stringContaining(text)));
  });

  test("a generation_config.json that is damaged costs its defaults, not the model", async () => {
    const said: string[] = [];
    const files = memorySource({
      "config.json": JSON.stringify(CONFIG),
      "generation_config.json": '{"top_k": 5',
    });
    const { defaults } = await readModelConfig(files, (text) => said.push(text));
    expect(defaults).toEqual({});
    expect(said).toEqual([expect.stringContaining("generation_config.json is not read: it needs JSON")]);
  });

  test("Python's NaN and Infinity are no reason either, but a field that is read needs a number", async () => {
    const text = (more: string) => `{${JSON.stringify(CONFIG).slice(1, -1)}, ${more}}`;
    const read = (more: string) => readModelConfig(memorySource({ "config.json": text(more) }));
    await read('"router_z": Infinity, "x": [-Infinity, NaN, {"y": NaN}], "note": "NaN, \\"Infinity"');
    await expect(read('"rms_norm_eps": NaN')).rejects.toThrow(
      "rms_norm_eps to be a finite number, found NaN",
    );
    await expect(read('"rope_theta": Infinity')).rejects.toThrow(
      "rope_theta to be a finite number, found Infinity",
    );
    await expect(read('"x": Infinit')).rejects.toMatchObject({ code: "bad_file" });
  });
});
