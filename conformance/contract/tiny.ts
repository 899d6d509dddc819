import { entryOf, itemAt, onlyOf, present } from "../../models/certain.ts";
import {
  buildProgram,
  type Decoder,
  type DecoderSpec,
  type FileDtype,
  type RawConfig,
  readDecoder,
  type TensorSpec,
  type WeightSource,
} from "../../models/index.ts";
import { type TensorSource, weightSource } from "../../sdk/checkpoint/weights/index.ts";
import { Random } from "./random.ts";

/** A decoder small enough for the truth, with random weights. */
export interface Tiny {
  name: string;
  decoder: Decoder;
  /** The checkpoint, and what a device loads of it. */
  tensors: TensorSource;
  weights: WeightSource;
}

/** The values of a tensor, row-major. */
export type Fill = (spec: TensorSpec, random: Random) => ArrayLike<number>;

const BASE: RawConfig = {
  model_type: "llama",
  hidden_size: 32,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  num_hidden_layers: 3,
  intermediate_size: 48,
  vocab_size: 61,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
};

/** Decoders whose ropes depend on the length of the call. */
export const BY_LENGTH: readonly Tiny[] = [
  tiny("longrope, part of a head rotated, f32", "F32", {
    ...BASE,
    num_hidden_layers: 2,
    head_dim: 12,
    partial_rotary_factor: 0.5,
    original_max_position_embeddings: 14,
    rope_scaling: { rope_type: "longrope", short_factor: [1, 1.3, 2], long_factor: [2, 5, 9] },
  }),
  longer(
    tiny("dynamic rope, interleaved, f32", "F32", {
      ...BASE,
      model_type: "cohere",
      num_hidden_layers: 2,
      max_position_embeddings: 17,
      rope_scaling: { rope_type: "dynamic", factor: 6 },
    }),
  ),
  longer(
    tiny("dynamic rope and another by position, qk-norm, f32", "F32", {
      ...BASE,
      model_type: "qwen3",
      head_dim: 16,
      max_position_embeddings: 11,
      rope_scaling: { rope_type: "dynamic", factor: 4 },
    }),
    staticToo,
  ),
];

/** The decoders that the contract runs over: each is the smallest that has what its name says. */
export const TINIES = [
  tiny("gqa, f32", "F32", BASE),
  tiny("odd sizes, biases, tied, one kv head, f32", "F32", {
    ...BASE,
    hidden_size: 35,
    num_attention_heads: 3,
    num_key_value_heads: 1,
    head_dim: 10,
    intermediate_size: 51,
    vocab_size: 97,
    attention_bias: true,
    mlp_bias: true,
    tie_word_embeddings: true,
  }),
  tiny("qk-norm, sliding window on some layers, bf16", "BF16", {
    ...BASE,
    model_type: "qwen3",
    head_dim: 16,
    attention_bias: true,
    tie_word_embeddings: true,
    use_sliding_window: true,
    sliding_window: 5,
    layer_types: ["sliding_attention", "full_attention", "sliding_attention"],
  }),
  tiny("no kv sharing, llama3 rope, part of a head rotated, f16", "F16", {
    ...BASE,
    num_key_value_heads: 4,
    head_dim: 12,
    partial_rotary_factor: 0.5,
    rope_theta: 500_000,
    rope_scaling: {
      rope_type: "llama3",
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 64,
    },
  }),
  tiny("norms after, softcaps, scaled embedding, windows, gelu_tanh, f32", "F32", {
    ...BASE,
    model_type: "gemma2",
    head_dim: 12,
    query_pre_attn_scalar: 20,
    sliding_window: 6,
    attn_logit_softcapping: 3,
    final_logit_softcapping: 5,
  }),
  tiny("wide, f32", "F32", {
    ...BASE,
    hidden_size: 136,
    intermediate_size: 200,
    vocab_size: 515,
    head_dim: 40,
  }),
  tiny("experts, f32", "F32", {
    ...BASE,
    model_type: "mixtral",
    num_local_experts: 5,
    num_experts_per_tok: 2,
    intermediate_size: 20,
  }),
  tiny("experts on some layers, not renormalised, qk-norm, bf16", "BF16", {
    ...BASE,
    model_type: "qwen3_moe",
    num_experts: 6,
    num_experts_per_tok: 3,
    moe_intermediate_size: 24,
    mlp_only_layers: [1],
  }),
  tiny("parallel, layer norms, biases, q k v by head, gelu, f16", "F16", {
    ...BASE,
    model_type: "gpt_neox",
    rotary_pct: 0.5,
  }),
  tiny("parallel, one norm, norms of each head, interleaved rope, scaled logits, f32", "F32", {
    ...BASE,
    model_type: "cohere",
    use_qk_norm: true,
    logit_scale: 0.25,
  }),
  tiny("learned positions, transposed matrices, no rope, f32", "F32", {
    model_type: "gpt2",
    n_embd: 36,
    n_head: 3,
    n_layer: 2,
    vocab_size: 61,
    n_positions: 256,
  }),
  tiny("norms after alone, norms of whole q and k, bf16", "BF16", { ...BASE, model_type: "olmo2" }),
  tiny("factors on embedding, adds and logits, f32", "F32", {
    ...BASE,
    model_type: "granite",
    embedding_multiplier: 3,
    residual_multiplier: 0.4,
    attention_multiplier: 0.3,
    logits_scaling: 4,
  }),
  tiny("a head with a bias, relu, f32", "F32", { ...BASE, model_type: "phi", hidden_act: "relu" }),
  tiny("relu squared in gates and in experts, f32", "F32", {
    ...BASE,
    model_type: "mellum",
    head_dim: 8,
    hidden_act: "relu2",
    num_experts: 4,
    num_experts_per_tok: 2,
    moe_intermediate_size: 20,
    mlp_layer_types: ["dense", "sparse", "dense"],
  }),
  tiny("q scaled by its position, f32", "F32", {
    ...BASE,
    model_type: "ministral3",
    head_dim: 8,
    rope_parameters: {
      rope_type: "yarn",
      factor: 8,
      original_max_position_embeddings: 7,
      llama_4_scaling_beta: 0.4,
    },
  }),
  twoRopes(tiny("two ropes, a layer without positions, gelu, f32", "F32", { ...BASE, hidden_act: "gelu" })),
  ...BY_LENGTH,
] as const satisfies readonly Tiny[];

/** A decoder of a config with random weights; its name seeds them. */
export function tiny(name: string, dtype: FileDtype, config: RawConfig, fill: Fill = randomFill): Tiny {
  const decoder = readDecoder(config);
  const tensors = makeTensors(decoder, dtype, fill, seedOf(name));
  return { name, decoder, tensors, weights: weightSource(tensors) };
}

/** Loaded for more tokens than it was trained for, where that is what its rope is about. */
function longer(made: Tiny, change: (spec: DecoderSpec) => DecoderSpec = (spec) => spec): Tiny {
  const { decoder } = made;
  return { ...made, decoder: { ...decoder, spec: change({ ...decoder.spec, n_ctx: 256 }) } };
}

/** A rope by length, one by position and another by length, each of a layer. */
function staticToo(spec: DecoderSpec): DecoderSpec {
  const rope = onlyOf(spec.ropes);
  const { beyond, ...by_position } = rope;
  const longer_by = present(beyond, "a rope by length");
  const late = { ...rope, beyond: { ...longer_by, length: longer_by.length + 7 } };
  const layers = spec.layers.map((layer, i) => ({ ...layer, rope: i % 3 }));
  return { ...spec, ropes: [rope, by_position, late], layers };
}

/** Ropes that differ by layer, and a layer with none. */
function twoRopes(made: Tiny): Tiny {
  const { spec } = made.decoder;
  const rope = onlyOf(spec.ropes);
  const slow = { ...rope, inv_freq: rope.inv_freq.map((f) => Math.fround(f / 3)) };
  const layers = spec.layers.map((layer, i) => ({ ...layer, rope: itemAt([0, null, 1], i) }));
  return { ...made, decoder: { ...made.decoder, spec: { ...spec, ropes: [rope, slow], layers } } };
}

/** Matrices keep the size of what they multiply, vectors of norms are about 1, biases small. */
export function randomFill({ name, shape, transposed }: TensorSpec, random: Random): Float32Array {
  const count = shape.reduce((product, n) => product * n, 1);
  if (name.endsWith("bias")) return random.vector(count, 0.2);
  if (isNorm(name, shape)) return random.vector(count, 0.2).map((x) => 1 + x);
  const [rows = 1, cols = 1] = shape;
  if (!isEmbedding(name)) return random.vector(count, 1.2 / Math.sqrt(transposed ? rows : cols));
  const values = random.vector(count);
  // Token 0 is tiny: it shows a device that drops float16's subnormal values.
  return values.map((value, i) => (i < cols ? value * 2 ** -16 : value));
}

function isNorm(name: string, shape: readonly number[]): boolean {
  return shape.length === 1 || /[qk]_norm/.test(name);
}

function isEmbedding(name: string): boolean {
  return /embed_(tokens|in)|wte|wpe/.test(name);
}

function makeTensors(decoder: Decoder, dtype: FileDtype, fill: Fill, seed: number): TensorSource {
  const random = new Random(seed);
  const tensors = new Map<string, Uint8Array>();
  const shapes = new Map<string, number[]>();
  for (const spec of buildProgram(decoder).weights.flatMap(({ parts }) => parts)) {
    if (shapes.has(spec.name)) continue;
    shapes.set(spec.name, spec.shape);
    tensors.set(spec.name, encode(fill(spec, random), dtype));
  }
  return {
    tensor(name) {
      const bytes = tensors.get(name);
      if (bytes === undefined) throw new Error(`no tensor ${name}`);
      return {
        name,
        dtype,
        shape: entryOf(shapes, name),
        byte_length: bytes.length,
        read: async (start, end) => bytes.slice(start, end),
      };
    },
  };
}

/** Little-endian bytes; the narrower types cut the fraction off (any rounding will do for random weights). */
function encode(values: ArrayLike<number>, dtype: FileDtype): Uint8Array {
  const floats = Float32Array.from(values);
  if (dtype === "F32") return new Uint8Array(floats.buffer);
  const words = new Uint32Array(floats.buffer);
  const narrow = dtype === "BF16" ? (bits: number) => bits >>> 16 : halfBits;
  return new Uint8Array(Uint16Array.from(words, narrow).buffer);
}

/** The float16 next to zero from a float32, given and returned as bits. */
function halfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 255) - 127;
  const fraction = bits & 0x7fffff;
  if (exponent > 15) return sign | 0x7c00 | (exponent === 128 && fraction !== 0 ? 0x200 : 0);
  if (exponent >= -14) return sign | ((exponent + 15) << 10) | (fraction >>> 13);
  if (exponent < -24) return sign;
  return sign | ((0x800000 | fraction) >>> (-1 - exponent));
}

function seedOf(text: string): number {
  let hash = 2166136261;
  for (const char of text) hash = Math.imul(hash ^ char.charCodeAt(0), 16777619);
  return hash >>> 0;
}
