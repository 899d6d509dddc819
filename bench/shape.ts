import { Random } from "../conformance/contract/random.ts";
import { itemAt, present } from "../models/certain.ts";
import type { RawConfig } from "../models/index.ts";
import {
  buildProgram,
  CapstanError,
  readDecoder,
  show,
  type TensorSpec,
  tensorSpecs,
} from "../models/index.ts";
import { encodeSafetensors } from "../sdk/checkpoint/safetensors/index.ts";
import { fileSize, joinPath, writeFileAtomic } from "../sdk/platform/index.ts";

/** A model to measure: its config and the seed of its weights. */
export interface Shape {
  name: string;
  seed: number;
  config: RawConfig;
}

/** The shape that engines are compared on (DESIGN, section 6): Llama's layout, 134 million weights. */
export const SHAPE_134M: Shape = {
  name: "134M",
  seed: 134,
  config: {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: 768,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    num_key_value_heads: 12,
    intermediate_size: 2048,
    vocab_size: 32_000,
    max_position_embeddings: 2048,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    hidden_act: "silu",
    tie_word_embeddings: false,
    torch_dtype: "float32",
  },
};

/** The same layout, 2 million weights: whether a bench runs at all is seen in seconds. */
export const SHAPE_TINY_LLAMA: Shape = {
  name: "tiny",
  seed: 4,
  config: {
    ...SHAPE_134M.config,
    hidden_size: 128,
    num_hidden_layers: 4,
    num_attention_heads: 4,
    num_key_value_heads: 4,
    intermediate_size: 384,
    vocab_size: 4096,
  },
};

/** What a GPU in software can bear. */
export const SHAPE_TINY: Shape = {
  name: "tiny",
  seed: 5,
  config: {
    architectures: ["Qwen3ForCausalLM"],
    model_type: "qwen3",
    hidden_size: 128,
    num_hidden_layers: 4,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 32,
    intermediate_size: 384,
    vocab_size: 4096,
    max_position_embeddings: 1024,
    rms_norm_eps: 1e-6,
    rope_theta: 10_000,
    hidden_act: "silu",
    tie_word_embeddings: true,
  },
};

/** Qwen3-0.6B's: 596 million weights. */
export const SHAPE_0_6B: Shape = {
  name: "0.6B",
  seed: 6,
  config: {
    ...SHAPE_TINY.config,
    hidden_size: 1024,
    num_hidden_layers: 28,
    num_attention_heads: 16,
    num_key_value_heads: 8,
    head_dim: 128,
    intermediate_size: 3072,
    vocab_size: 151_936,
    rope_theta: 1_000_000,
  },
};

/**
 * Writes a shape as a Hugging Face folder of float32 shards (one for each layer, so that memory holds one at a
 * time); a folder that is whole already is left as it is.
 *
 * @param on_progress called before each shard with its number and the number of all
 */
export async function writeShape(
  shape: Shape,
  folder: string,
  on_progress: (done: number, total: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const index = joinPath(folder, "model.safetensors.index.json");
  if ((await fileSize(index)) !== undefined) return;
  await writeFileAtomic(joinPath(folder, "config.json"), JSON.stringify(shape.config, null, 2));
  const shards = shardsOf(shape);
  const weight_map: Record<string, string> = {};
  for (const [i, [file, specs]] of [...shards].entries()) {
    signal.throwIfAborted();
    on_progress(i, shards.size);
    const random = new Random(shape.seed * 1000 + i);
    const tensors = Object.fromEntries(specs.map((spec) => [spec.name, randomTensor(spec, random)]));
    await writeFileAtomic(joinPath(folder, file), encodeSafetensors(tensors, { format: "pt" }));
    for (const { name } of specs) weight_map[name] = file;
  }
  // Last: a folder with an index is whole.
  await writeFileAtomic(index, JSON.stringify({ metadata: {}, weight_map }));
}

/** The tensors by the file they go to. */
function shardsOf({ config }: Shape): Map<string, TensorSpec[]> {
  const shards = new Map<string, TensorSpec[]>();
  for (const spec of tensorSpecs(buildProgram(readDecoder(config)))) {
    const layer =
      /\.layers\.(\d+)\./.exec(spec.name)?.[1] ??
      present(spec.name.split(".").at(-2), "a part before the last");
    const file = `model-${layer}.safetensors`;
    shards.set(file, [...(shards.get(file) ?? []), spec]);
  }
  return shards;
}

/** Uniform values of the deviation that keeps a stream its size; norms are 1. */
function randomTensor({ name, shape }: TensorSpec, random: Random) {
  const data = new Float32Array(shape.reduce((product, n) => product * n, 1));
  if (name.endsWith("norm.weight")) return { dtype: "F32" as const, shape, data: data.fill(1) };
  const half_width = Math.sqrt(3) * (name.includes("embed") ? 1 : 1 / Math.sqrt(itemAt(shape, 1)));
  for (let i = 0; i < data.length; i++) data[i] = (2 * random.next() - 1) * half_width;
  return { dtype: "F32" as const, shape, data };
}

/**
 * The shape that an option names, among those of a device.
 *
 * @throws CapstanError `bad_request`
 */
export function pickShape(device: string, known: readonly Shape[], name: string): Shape {
  const found = known.find((shape) => shape.name === name);
  if (found !== undefined) return found;
  const need = `shape ${known.map((shape) => shape.name).join(" or ")}`;
  throw new CapstanError("bad_request", { action: `bench ${device}`, need, found: show(name) });
}
