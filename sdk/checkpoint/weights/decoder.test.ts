import { describe, expect, test } from "vitest";
import {
  buildProgram,
  knownArchitectures,
  type RawConfig,
  readDecoder,
  tensorSpecs,
} from "../../../models/index.ts";
import { load } from "../../inference/load.ts";
import type { FileSource } from "../../types.ts";
import { encodeSafetensors, type TensorData } from "../safetensors/index.ts";
import { memorySource } from "../source/index.ts";
import { openDecoder } from "./index.ts";

/** Whose the head is: `tie_word_embeddings` says, and the files have the last word (transformers 5.23 does the same). */

const SIZES: RawConfig = {
  hidden_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 2,
  head_dim: 8,
  intermediate_size: 24,
  vocab_size: 20,
  max_position_embeddings: 32,
  ...{ n_embd: 16, n_layer: 2, n_head: 2, n_positions: 32 },
  ...{ num_layers: 2, num_heads: 2, attention_layers: ["global", "local"], rotary_dim: 4, ffn_dim: 24 },
  ...{ num_experts: 2, num_local_experts: 2, num_experts_per_tok: 1, moe_intermediate_size: 8 },
};
const GRANITE4 = {
  num_local_experts: 0,
  layer_types: ["attention", "attention"],
  shared_intermediate_size: 24,
};

function configOf(model_type: string, tie_word_embeddings: boolean): RawConfig {
  const sizes = { ...SIZES, model_type, tie_word_embeddings };
  if (model_type === "gemma3" || model_type === "mistral3") return { ...sizes, text_config: SIZES };
  if (model_type === "ministral3") return { ...sizes, rope_parameters: { rope_type: "default" } };
  return model_type === "granitemoehybrid" ? { ...sizes, ...GRANITE4 } : sizes;
}

type Tensors = Record<string, TensorData>;

/** All tensors of an untied decoder, in [-1, 1), each different. */
function tensorsOf(config: RawConfig): Tensors {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  const specs = tensorSpecs(buildProgram(readDecoder(config)));
  return Object.fromEntries(
    specs.map(({ name, shape }): [string, TensorData] => {
      const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next);
      return [name, { dtype: "F32", shape, data }];
    }),
  );
}

function without(tensors: Tensors, name: string): Tensors {
  const { [name]: _, ...rest } = tensors;
  return rest;
}

function renamed(tensors: Tensors, name: (old: string) => string): Tensors {
  return Object.fromEntries(Object.entries(tensors).map(([old, tensor]) => [name(old), tensor]));
}

function source(config: RawConfig, tensors: Tensors): FileSource {
  return memorySource({
    "config.json": JSON.stringify(config),
    "model.safetensors": encodeSafetensors(tensors),
  });
}

/** The same in shards of three tensors. */
function sharded(config: RawConfig, tensors: Tensors): FileSource {
  const entries = Object.entries(tensors);
  const files: Record<string, string | Uint8Array> = { "config.json": JSON.stringify(config) };
  const weight_map: Record<string, string> = {};
  for (let at = 0; at < entries.length; at += 3) {
    const name = `${at}.safetensors`;
    const shard = entries.slice(at, at + 3);
    files[name] = encodeSafetensors(Object.fromEntries(shard));
    for (const [tensor] of shard) weight_map[tensor] = name;
  }
  return memorySource({ ...files, "model.safetensors.index.json": JSON.stringify({ weight_map }) });
}

async function logits(files: FileSource): Promise<number[]> {
  await using model = await load(files);
  return [...(await model.forward([1, 2, 3, 4], { logits: "last" })).logits];
}

describe.each(knownArchitectures())("%s", (model_type) => {
  const [tied, untied] = [configOf(model_type, true), configOf(model_type, false)];
  const all = tensorsOf(untied);
  const { embed, head } = readDecoder(untied).tensors;
  const both = { ...all, [head.name]: all[embed.name]! };

  test("a head of its own is used, whatever the flag says", async () => {
    const own = await logits(source(untied, all));
    expect(await logits(source(tied, all))).toEqual(own);
    expect(await logits(sharded(tied, all))).toEqual(own);
    expect(own).not.toEqual(await logits(source(tied, both)));
  });

  test("without one the embedding is the head, and a head that equals it is not kept twice", async () => {
    const shared = await logits(source(tied, without(all, head.name)));
    expect(await logits(source(untied, both))).toEqual(shared);
    expect(await logits(source(tied, both))).toEqual(shared);
    const { program, decoder } = await openDecoder(source(tied, both), readDecoder(tied), tied);
    expect(decoder.spec.tied_embeddings).toBe(true);
    expect(program).toEqual(buildProgram(readDecoder(tied)));
  });

  test("without the embedding the head stands for both", async () => {
    const shared = await logits(source(tied, both));
    expect(await logits(source(tied, without(both, embed.name)))).toEqual(shared);
  });

  test("what has to be there is named", async () => {
    const neither = without(without(all, head.name), embed.name);
    const missing = (name: string) => `need ${name} [20, 16], found no such tensor`;
    await expect(load(source(tied, neither))).rejects.toThrow(missing(embed.name));
    await expect(load(source(untied, without(all, head.name)))).rejects.toThrow(missing(head.name));
    await expect(load(source(untied, without(all, embed.name)))).rejects.toThrow(missing(embed.name));
  });
});

describe("a head of its own beside the flag", () => {
  const config = configOf("llama", true);
  const all = tensorsOf(configOf("llama", false));

  test.each([
    [
      "inside a wrapper, the head beside it",
      (name: string) => name.replace(/^model\./, "model.language_model."),
    ],
    ["inside a wrapper with its head", (name: string) => `language_model.${name}`],
    ["a bare body", (name: string) => name.replace(/^model\./, "")],
  ])("is found: %s", async (_, rename) => {
    expect(await logits(source(config, renamed(all, rename)))).toEqual(await logits(source(config, all)));
  });

  test("is found under both names of GPT-NeoX's", async () => {
    const neox = configOf("gpt_neox", true);
    const tensors = tensorsOf(configOf("gpt_neox", false));
    const new_names = renamed(tensors, (name) => name.replace(/^embed_out\./, "lm_head."));
    expect(await logits(source(neox, new_names))).toEqual(await logits(source(neox, tensors)));
  });

  test("differs in its last element alone", async () => {
    const embed = all["model.embed_tokens.weight"]!;
    const data = (embed.data as Float32Array).map((x, i) => (i === 19 * 16 + 15 ? x + 1 : x));
    const tensors = { ...all, "lm_head.weight": { ...embed, data } };
    const found = await openDecoder(source(config, tensors), readDecoder(config), config);
    expect(found.decoder.spec.tied_embeddings).toBe(false);
  });

  test("of another shape is refused", async () => {
    const head: TensorData = { dtype: "F32", shape: [21, 16], data: new Float32Array(21 * 16) };
    await expect(load(source(config, { ...all, "lm_head.weight": head }))).rejects.toThrow(
      "need lm_head.weight [20, 16], found [21, 16]",
    );
  });
});
