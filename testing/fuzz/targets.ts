import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { itemAt } from "../../models/certain.ts";
import { CapstanError } from "../../models/index.ts";
import { encodeSafetensors, type TensorData } from "../../sdk/checkpoint/safetensors/index.ts";
import { memorySource } from "../../sdk/checkpoint/source/index.ts";
import { load, loadTokenizer } from "../../sdk/index.ts";
import { runCall } from "./calls.ts";
import { type Json, mutateBytes, mutateJson, mutateText, Random } from "./mutate.ts";
import { randomTemplate } from "./templates.ts";

/** Files of a model by name. */
type Files = Record<string, Uint8Array | string>;

/** What is fuzzed: files drawn from a seed, and the public API they go through. */
export interface Target {
  name: string;
  /** Share of the inputs. */
  weight: number;
  make(random: Random): Files;
  run(files: Files): Promise<void>;
}

const root = join(import.meta.dirname, "..", "..");
const CONFIG = {
  model_type: "llama",
  hidden_size: 8,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 12,
  vocab_size: 300,
  max_position_embeddings: 64,
  tie_word_embeddings: true,
  eos_token_id: [2, 3],
  rope_theta: 10000,
};
const GENERATION = { temperature: 0.7, top_p: 0.9, top_k: 20, eos_token_id: 2, do_sample: true };

/** The weights of CONFIG. */
function tensors(): Record<string, TensorData> {
  const made: Record<string, TensorData> = {};
  const add = (name: string, ...shape: number[]) => {
    const count = shape.reduce((a, b) => a * b, 1);
    made[name] = { dtype: "BF16", shape, data: new Uint16Array(count).fill(0x3c00) };
  };
  add("model.embed_tokens.weight", 300, 8);
  add("model.norm.weight", 8);
  for (const layer of [0, 1]) {
    const prefix = `model.layers.${layer}`;
    for (const name of ["q", "k", "v", "o"]) add(`${prefix}.self_attn.${name}_proj.weight`, 8, 8);
    for (const name of ["gate", "up"]) add(`${prefix}.mlp.${name}_proj.weight`, 12, 8);
    add(`${prefix}.mlp.down_proj.weight`, 8, 12);
    for (const name of ["input_layernorm", "post_attention_layernorm"]) add(`${prefix}.${name}.weight`, 8);
  }
  return made;
}

const whole = encodeSafetensors(tensors(), { format: "pt" });
const entries = Object.entries(tensors());
const SHARDS: Record<string, Uint8Array> = {
  "a.safetensors": encodeSafetensors(Object.fromEntries(entries.slice(0, 9))),
  "b.safetensors": encodeSafetensors(Object.fromEntries(entries.slice(9))),
};
const INDEX = {
  metadata: { total_size: 12 },
  weight_map: Object.fromEntries(
    entries.map(([name], i) => [name, i < 9 ? "a.safetensors" : "b.safetensors"]),
  ),
};

/** Small models of every family, from the reference cases. */
const reference = join(root, "conformance/reference");
const MODELS: { config: Json; weights: Uint8Array }[] = readdirSync(reference)
  .map((name) => join(reference, name))
  .filter((folder) => existsSync(join(folder, "model.safetensors")))
  .map((folder) => ({
    config: JSON.parse(readFileSync(join(folder, "config.json"), "utf8")),
    weights: new Uint8Array(readFileSync(join(folder, "model.safetensors"))),
  }));

interface Fixture {
  file: Json;
  template: string;
  config: Record<string, Json>;
}
const FIXTURES: Fixture[] = readFileSync(join(root, "sdk/text/fixtures/python.jsonl"), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line));

/** Tokenizers of every model, with every normalizer, pre-tokenizer and decoder. */
const TOKENIZERS: Json[] = readFileSync(join(root, "sdk/text/random/sample.jsonl"), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line).file);

const jsonOrText = (value: Json, random: Random): string => {
  const text = JSON.stringify(random.chance(0.8) ? mutateJson(value, random) : value);
  return random.chance(0.2) ? mutateText(text, random) : text;
};

/** Loads the model and runs it where it loads. */
async function runModel(files: Files): Promise<void> {
  await using model = await load(memorySource(files), { n_ctx: 32 });
  await model.forward([1, 2], { logits: "last" });
}

const CHAT = [
  { role: "system", content: "Be brief <|im_end|>" },
  { role: "user", content: "  What is 1 + 1? été 😀 <think>\n" },
  { role: "assistant", content: "<think>\nhm\n</think>\n\n2" },
  { role: "user", content: "And?" },
];
const TEXT = "Hello, wörld! 今天 12345   <|im_end|> <s>\n\n\t▁ don't 😀 \u0000";

async function runTokenizer(files: Files): Promise<void> {
  const tokenizer = await loadTokenizer(memorySource(files));
  const attempts = [
    () => tokenizer.decode(tokenizer.encode(TEXT)),
    () => tokenizer.decode(tokenizer.encode(TEXT, { special: "parse", add_special_tokens: true })),
    () => tokenizer.decode(Array.from({ length: Math.min(50, tokenizer.size) }, (_, i) => i)),
    () => tokenizer.encodeChat(CHAT),
    () =>
      tokenizer.renderChat(CHAT, { tools: [{ type: "function", function: { name: "f", parameters: {} } }] }),
  ];
  for (const attempt of attempts) {
    try {
      attempt();
    } catch (error) {
      checkError(error);
    }
  }
}

const tokenizerFiles = ({ file, template, config }: Fixture) => ({
  "tokenizer.json": JSON.stringify(file),
  "tokenizer_config.json": JSON.stringify({ chat_template: template, ...config }),
});

export const TARGETS: readonly Target[] = [
  {
    name: "weights",
    weight: 5,
    make: (random) => ({
      "config.json": JSON.stringify(CONFIG),
      "model.safetensors": mutateBytes(whole, random),
    }),
    run: runModel,
  },
  {
    name: "header",
    weight: 4,
    make(random) {
      const length = Number(new DataView(whole.buffer).getBigUint64(0, true));
      const header = JSON.parse(new TextDecoder().decode(whole.subarray(8, 8 + length))) as Json;
      const json = new TextEncoder().encode(jsonOrText(header, random));
      const file = new Uint8Array(8 + json.length + whole.length - 8 - length);
      new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
      file.set(json, 8);
      file.set(whole.subarray(8 + length), 8 + json.length);
      return { "config.json": JSON.stringify(CONFIG), "model.safetensors": file };
    },
    run: runModel,
  },
  {
    name: "index",
    weight: 3,
    make: (random) => ({
      ...SHARDS,
      "config.json": JSON.stringify(CONFIG),
      "model.safetensors.index.json": jsonOrText(INDEX, random),
    }),
    run: runModel,
  },
  {
    name: "config",
    weight: 5,
    make(random) {
      const { config, weights } = random.chance(0.3)
        ? { config: CONFIG, weights: whole }
        : random.pick(MODELS);
      return {
        "config.json": jsonOrText(config, random),
        "generation_config.json": random.chance(0.3) ? jsonOrText(GENERATION, random) : "{}",
        "model.safetensors": weights,
      };
    },
    run: runModel,
  },
  {
    name: "tokenizer",
    weight: 5,
    make(random) {
      const fixture = random.pick(FIXTURES);
      const files = tokenizerFiles(fixture);
      const file = random.chance(0.5) ? random.pick(TOKENIZERS) : fixture.file;
      if (random.chance(0.8)) files["tokenizer.json"] = jsonOrText(file, random);
      else
        files["tokenizer_config.json"] = jsonOrText(
          { chat_template: fixture.template, ...fixture.config },
          random,
        );
      return files;
    },
    run: runTokenizer,
  },
  {
    name: "template",
    weight: 2,
    make(random) {
      const fixture = itemAt(FIXTURES, 0);
      const template = random.chance(0.5)
        ? randomTemplate(random)
        : mutateText(random.pick(FIXTURES).template, random);
      return tokenizerFiles({ ...fixture, template });
    },
    run: runTokenizer,
  },
];

/** Calls with random options are the inputs from this number on. */
export const CALLS_FROM = 10_000_000;

const TURNS = TARGETS.flatMap((target) => Array.from({ length: target.weight }, () => target));

/** The files of an input, by its number. */
export function inputOf(seed: number): { target: Target; files: Files } {
  const random = new Random(seed);
  const target = random.pick(TURNS);
  return { target, files: target.make(random) };
}

/** What an input is, for reports. */
export function nameOf(seed: number): string {
  return seed >= CALLS_FROM ? "calls" : inputOf(seed).target.name;
}

/** Runs an input; throws where it fails otherwise than with one clear error. */
export async function runInput(seed: number): Promise<void> {
  try {
    if (seed >= CALLS_FROM) return await runCall(new Random(seed));
    const { target, files } = inputOf(seed);
    await target.run(files);
  } catch (error) {
    checkError(error);
  }
}

function checkError(error: unknown): void {
  if (error instanceof CapstanError && error.code !== "internal" && error.message.length < 2000) return;
  throw error;
}
