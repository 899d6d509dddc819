import { entryOf } from "../certain.ts";
import type { ConfigReader } from "../config.ts";
import { show } from "../errors.ts";
import type {
  Activation,
  Decoder,
  DecoderSpec,
  LayerSpec,
  LayerTensors,
  MlpTensors,
  NormTensors,
  TensorSpec,
} from "../spec.ts";

/** The sizes every decoder has. */
export type Sizes = Pick<
  DecoderSpec,
  "d_model" | "n_layers" | "n_heads" | "n_kv_heads" | "d_head" | "d_mlp" | "d_vocab" | "n_ctx"
>;

/** The widest that a model is believed to be: rope tables are made of its heads before any weight is looked at. */
const WIDEST = 2 ** 20;

/** Reads the sizes under the names most configs use. `d_head` is the family's default where none is written. */
export function readSizes(config: ConfigReader, defaults: Partial<Sizes> = {}): Sizes {
  const d_model = config.int("hidden_size", defaults.d_model, 1, WIDEST);
  const n_heads = config.count("num_attention_heads", defaults.n_heads);
  const n_kv_heads = config.count("num_key_value_heads", defaults.n_kv_heads ?? n_heads);
  if (n_heads % n_kv_heads !== 0) {
    config.refuse("num_key_value_heads", n_kv_heads, `a divisor of num_attention_heads (${n_heads})`);
  }
  return {
    d_model,
    n_heads,
    n_kv_heads,
    n_layers: config.count("num_hidden_layers", defaults.n_layers),
    d_head: config.int("head_dim", defaults.d_head ?? headSize(config, d_model, n_heads), 1, WIDEST),
    d_mlp: config.int("intermediate_size", defaults.d_mlp),
    d_vocab: config.int("vocab_size", defaults.d_vocab),
    n_ctx: config.length("max_position_embeddings", defaults.n_ctx ?? 2048),
  };
}

/** Reads the sizes under GPT-2's names. */
export function readGpt2Sizes(
  config: ConfigReader,
  defaults: Pick<Sizes, "d_model" | "n_layers" | "n_heads" | "d_vocab" | "n_ctx">,
): Sizes {
  const d_model = config.int("n_embd", defaults.d_model);
  const n_heads = config.count("n_head", defaults.n_heads);
  return {
    d_model,
    n_heads,
    n_kv_heads: n_heads,
    n_layers: config.count("n_layer", defaults.n_layers),
    d_head: headSize(config, d_model, n_heads, "n_embd", "n_head"),
    d_mlp: config.int("n_inner", 4 * d_model),
    d_vocab: config.int("vocab_size", defaults.d_vocab),
    n_ctx: config.int("n_positions", defaults.n_ctx),
  };
}

/** d_model / n_heads, for a model without a size of its own; `hidden_size` names the field at fault. */
export function headSize(
  config: ConfigReader,
  d_model: number,
  n_heads: number,
  field = "hidden_size",
  heads_field = "num_attention_heads",
): number {
  if (config.has("head_dim") || d_model % n_heads === 0) return Math.floor(d_model / n_heads);
  return config.refuse(field, d_model, `a multiple of ${heads_field} (${show(n_heads)}), or head_dim given`);
}

/** What a family must say of its spec; the rest is as Llama has it unless said. */
export type FamilySpec = Partial<DecoderSpec> & Pick<DecoderSpec, "family" | "norm" | "ropes">;

/** The names of a family's tensors outside the layers; those left out are as Llama has them. */
export interface FamilyTensors {
  layer: (prefix: string, index: number) => LayerTensors;
  /** What stands before a layer's number. */
  layers?: string;
  embed?: string;
  positions?: TensorSpec;
  final_norm?: NormTensors;
  head?: string;
  /** The head has a bias, `{head}.bias`. */
  head_bias?: true;
}

/** A decoder that is Llama but for what its family says. */
export function decoder(
  config: ConfigReader,
  sizes: Sizes,
  family: FamilySpec,
  tensors: FamilyTensors,
): Decoder {
  const { d_model, d_vocab, n_layers } = sizes;
  const spec: DecoderSpec = {
    ...sizes,
    block: "sequential",
    activation: "silu",
    gated: true,
    qk_norm: "none",
    attn_scale: sizes.d_head ** -0.5,
    q_scale: null,
    attn_softcap: null,
    embed_scale: 1,
    residual_scale: 1,
    logit_scale: 1,
    logit_softcap: null,
    rope_layout: "half",
    layers: repeat(n_layers, () => ({ rope: 0, window: null, experts: null })),
    tied_embeddings: config.bool("tie_word_embeddings", false),
    eos_token_ids: config.ids("eos_token_id"),
    bos_token_id: config.ids("bos_token_id")[0] ?? null,
    ...family,
  };
  const { embed = "model.embed_tokens", head = "lm_head", layers = "model.layers" } = tensors;
  return {
    spec,
    tensors: {
      embed: matrix(embed, d_vocab, d_model),
      positions: tensors.positions ?? null,
      layers: repeat(n_layers, (i) => tensors.layer(`${layers}.${i}`, i)),
      final_norm: tensors.final_norm ?? norm("model.norm", d_model),
      head: matrix(head, d_vocab, d_model),
      head_bias: tensors.head_bias === true ? vector(`${head}.bias`, d_vocab) : null,
    },
  };
}

/** `rms_norm_eps` and its default. */
export function rmsNorm(config: ConfigReader, eps = 1e-6): DecoderSpec["norm"] {
  return { kind: "rms", eps: config.positive("rms_norm_eps", eps) };
}

/** `sliding_window`: the fallback where it is not written, none where it is null. */
export function readWindow(config: ConfigReader, fallback: number | null): number | null {
  if (config.raw.sliding_window === undefined) return fallback;
  return config.has("sliding_window") ? config.int("sliding_window") : null;
}

/** A window that counts only with `use_sliding_window`. */
export function readSwitchedWindow(config: ConfigReader): number | null {
  return config.bool("use_sliding_window", false) ? readWindow(config, 4096) : null;
}

/** A layer norm whose epsilon stands under `field`. */
export function layerNorm(config: ConfigReader, field: string): DecoderSpec["norm"] {
  return { kind: "layer", eps: config.positive(field, 1e-5) };
}

/** A softcap, or null where the config says null itself. */
export function readSoftcap(config: ConfigReader, field: string, fallback: number | null): number | null {
  if (config.raw[field] === null || (fallback === null && !config.has(field))) return null;
  return config.positive(field, fallback ?? undefined);
}

/** Attention that sees what comes after is no decoder's. */
export function refuseBidirectional(config: ConfigReader): void {
  if (config.bool("use_bidirectional_attention", false))
    config.refuse("use_bidirectional_attention", true, "false");
}

const ACTIVATIONS = new Map<string, Activation>(
  Object.entries({
    silu: "silu",
    swish: "silu",
    gelu: "gelu",
    gelu_new: "gelu_tanh",
    gelu_fast: "gelu_tanh",
    gelu_pytorch_tanh: "gelu_tanh",
    relu: "relu",
    relu2: "relu2",
  }),
);

/** The activation under the names transformers gives it. */
export function readActivation(config: ConfigReader, field: string, fallback: string): Activation {
  return entryOf(ACTIVATIONS, config.oneOf(field, [...ACTIVATIONS.keys()], fallback));
}

/**
 * Each layer's window and rope. `layer_types` decides where it is written, else `slides`.
 *
 * @param window the window of the layers that have one; null where none do
 * @param rope the table of a layer by whether it slides (default: the only one)
 */
export function readLayers(
  config: ConfigReader,
  n_layers: number,
  window: number | null,
  slides: (layer: number) => boolean = () => true,
  rope: (slides: boolean, layer: number) => number | null = () => 0,
): LayerSpec[] {
  const types =
    config.list("layer_types") ?? repeat(n_layers, (i) => layerType(window !== null && slides(i)));
  const known = [layerType(true), layerType(false)];
  const strange = types.find((type) => !known.includes(type as string));
  if (strange !== undefined || types.length < n_layers) {
    const need = `${known.map((type) => show(type)).join(" or ")} for each of ${n_layers} layers`;
    config.refuse("layer_types", strange ?? types.length, need);
  }
  return repeat(n_layers, (i) => {
    const is_sliding = types[i] === layerType(true);
    return { rope: rope(is_sliding, i), window: is_sliding ? window : null, experts: null };
  });
}

/** Layers of which those from `max_window_layers` on have a window, where windows are switched on. */
export function readLateWindows(config: ConfigReader, n_layers: number): LayerSpec[] {
  const first = config.int("max_window_layers", 28, -(2 ** 31));
  return readLayers(config, n_layers, readSwitchedWindow(config), (layer) => layer >= first);
}

function layerType(slides: boolean): string {
  return slides ? "sliding_attention" : "full_attention";
}

export function repeat<T>(length: number, make: (index: number) => T): T[] {
  return Array.from({ length }, (_, index) => make(index));
}

/** `{name}.weight` [rows, cols]. */
export function matrix(name: string, rows: number, cols: number): TensorSpec {
  return { name: `${name}.weight`, shape: [rows, cols] };
}

/** A tensor of one dimension, by its whole name. */
export function vector(name: string, length: number): TensorSpec {
  return { name, shape: [length] };
}

/** `{name}.weight` [width], and `{name}.bias`. `add` is what the file's weights lack. */
export function norm(name: string, width: number, has: { bias?: boolean; add?: number } = {}): NormTensors {
  const weight = vector(`${name}.weight`, width);
  return {
    weight: has.add === undefined ? weight : { ...weight, add: has.add },
    bias: has.bias === true ? vector(`${name}.bias`, width) : null,
  };
}

/** Which of the tensors that some families lack a layer has, and what its norms are like. */
export interface Has {
  qkv_bias?: boolean;
  attn_out_bias?: boolean;
  mlp_bias?: boolean;
  /** An RMS norm of each head of q and k. */
  qk_norm?: boolean;
  /** Layer norms with biases. */
  norm_bias?: boolean;
  /** What the file's norm weights lack. */
  norm_add?: number;
  /** gate and up in one tensor, `gate_up_proj`. */
  fused_mlp?: boolean;
}

/** The layer most families share: pre-norm attention and a gated MLP, in Llama's names. */
export function gatedLayer(prefix: string, sizes: Sizes, has: Has = {}): LayerTensors {
  const { d_model, d_head } = sizes;
  const d_q = sizes.n_heads * d_head;
  const d_kv = sizes.n_kv_heads * d_head;
  const attn = `${prefix}.self_attn`;
  const norms = {
    bias: has.norm_bias ?? false,
    ...(has.norm_add === undefined ? {} : { add: has.norm_add }),
  };
  const bias = (name: string, length: number) => vector(`${attn}.${name}.bias`, length);
  const headNorm = (name: string) => (has.qk_norm ? [norm(`${attn}.${name}`, d_head, norms).weight] : null);
  return {
    attn_norm: norm(`${prefix}.input_layernorm`, d_model, norms),
    qkv: [
      matrix(`${attn}.q_proj`, d_q, d_model),
      matrix(`${attn}.k_proj`, d_kv, d_model),
      matrix(`${attn}.v_proj`, d_kv, d_model),
    ],
    qkv_bias: has.qkv_bias ? [bias("q_proj", d_q), bias("k_proj", d_kv), bias("v_proj", d_kv)] : null,
    q_norm: headNorm("q_norm"),
    k_norm: headNorm("k_norm"),
    attn_out: matrix(`${attn}.o_proj`, d_model, d_q),
    attn_out_bias: has.attn_out_bias ? bias("o_proj", d_model) : null,
    attn_post_norm: null,
    mlp_norm: norm(`${prefix}.post_attention_layernorm`, d_model, norms),
    mlp: has.fused_mlp
      ? fusedMlp(`${prefix}.mlp`, sizes)
      : gatedMlp(`${prefix}.mlp`, sizes, has.mlp_bias ?? false),
    mlp_post_norm: null,
  };
}

/** Norms over the whole row of q and that of k. */
export function rowNorms(
  prefix: string,
  { d_head, n_heads, n_kv_heads }: Sizes,
): Pick<LayerTensors, "q_norm" | "k_norm"> {
  return {
    q_norm: [norm(`${prefix}.self_attn.q_norm`, n_heads * d_head).weight],
    k_norm: [norm(`${prefix}.self_attn.k_norm`, n_kv_heads * d_head).weight],
  };
}

/** A layer without norms before attention and MLP: theirs come after. Norms of q and k are of rows, or of heads where `has` says. */
export function postNormLayer(prefix: string, sizes: Sizes, has: Has): LayerTensors {
  const { d_model } = sizes;
  const layer = gatedLayer(prefix, sizes, has);
  return {
    ...layer,
    attn_norm: null,
    ...(has.qk_norm ? {} : rowNorms(prefix, sizes)),
    attn_post_norm: norm(`${prefix}.post_attention_layernorm`, d_model),
    mlp_norm: null,
    mlp_post_norm: norm(`${prefix}.post_feedforward_layernorm`, d_model),
  };
}

/** An MLP without gate: two products under names of the family's. */
export function plainMlp(
  name: string,
  first: string,
  second: string,
  { d_model, d_mlp }: Sizes,
  has_bias: boolean,
): MlpTensors {
  return {
    in: [matrix(`${name}.${first}`, d_mlp, d_model)],
    in_bias: has_bias ? [vector(`${name}.${first}.bias`, d_mlp)] : null,
    out: matrix(`${name}.${second}`, d_model, d_mlp),
    out_bias: has_bias ? vector(`${name}.${second}.bias`, d_model) : null,
  };
}

/** A gated MLP whose gate and up are one tensor. */
export function fusedMlp(
  name: string,
  { d_model, d_mlp }: Sizes,
  first = "gate_up_proj",
  second = "down_proj",
): MlpTensors {
  return {
    in: [matrix(`${name}.${first}`, 2 * d_mlp, d_model)],
    in_bias: null,
    out: matrix(`${name}.${second}`, d_model, d_mlp),
    out_bias: null,
  };
}

function gatedMlp(name: string, { d_model, d_mlp }: Sizes, has_bias: boolean): MlpTensors {
  const bias = (part: string, length: number) => vector(`${name}.${part}.bias`, length);
  return {
    in: [matrix(`${name}.gate_proj`, d_mlp, d_model), matrix(`${name}.up_proj`, d_mlp, d_model)],
    in_bias: has_bias ? [bias("gate_proj", d_mlp), bias("up_proj", d_mlp)] : null,
    out: matrix(`${name}.down_proj`, d_model, d_mlp),
    out_bias: has_bias ? bias("down_proj", d_model) : null,
  };
}
