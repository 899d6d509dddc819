import type { ConfigReader } from "../config.ts";
import { show } from "../errors.ts";
import type { Decoder, LayerTensors } from "../spec.ts";
import {
  decoder,
  headSize,
  layerNorm,
  matrix,
  norm,
  plainMlp,
  readActivation,
  repeat,
  type Sizes,
  vector,
} from "./common.ts";

/** GPT-Neo and TinyStories (`GPTNeoForCausalLM`): learned positions, attention scores as they are, layers that slide. */
export function gptNeo(config: ConfigReader): Decoder {
  const sizes = readNeoSizes(config);
  const { d_model, n_layers } = sizes;
  const window = config.int("window_size", 256);
  const kinds = readKinds(config, n_layers);
  return decoder(
    config,
    sizes,
    {
      family: "gpt_neo",
      norm: layerNorm(config, "layer_norm_epsilon"),
      activation: readActivation(config, "activation_function", "gelu_new"),
      gated: false,
      ropes: [],
      attn_scale: 1,
      layers: kinds.map((kind) => ({ rope: null, window: kind === "local" ? window : null, experts: null })),
      tied_embeddings: config.bool("tie_word_embeddings", true),
    },
    {
      layers: "transformer.h",
      layer: (prefix) => neoLayer(prefix, sizes),
      embed: "transformer.wte",
      positions: matrix("transformer.wpe", sizes.n_ctx, d_model),
      final_norm: norm("transformer.ln_f", d_model, { bias: true }),
    },
  );
}

function readNeoSizes(config: ConfigReader): Sizes {
  const d_model = config.int("hidden_size", 2048);
  const n_heads = config.count("num_heads", 16);
  return {
    d_model,
    n_heads,
    n_kv_heads: n_heads,
    n_layers: config.count("num_layers", 24),
    d_head: headSize(config, d_model, n_heads, "hidden_size", "num_heads"),
    d_mlp: config.int("intermediate_size", 4 * d_model),
    d_vocab: config.int("vocab_size", 50_257),
    n_ctx: config.int("max_position_embeddings", 2048),
  };
}

/** `attention_layers`, or `attention_types` as [[kinds, how often], ...]: "global" or "local" for each layer. */
function readKinds(config: ConfigReader, n_layers: number): unknown[] {
  const field = config.has("attention_layers") ? "attention_layers" : "attention_types";
  const written = config.list(field) ?? [[["global", "local"], 12]];
  const kinds = field === "attention_layers" ? written : written.flatMap((item) => repeated(item, n_layers));
  const known = kinds.length === n_layers && kinds.every((kind) => kind === "global" || kind === "local");
  return known
    ? kinds
    : config.refuse(field, written, `${show("global")} or ${show("local")} for each of ${n_layers} layers`);
}

function repeated(item: unknown, most: number): unknown[] {
  const [kinds, times] = Array.isArray(item) ? item : [];
  if (!Array.isArray(kinds) || !Number.isSafeInteger(times) || times < 0 || times > most) return [null];
  return repeat(times as number, () => kinds).flat();
}

function neoLayer(prefix: string, sizes: Sizes): LayerTensors {
  const { d_model } = sizes;
  const attn = `${prefix}.attn.attention`;
  return {
    attn_norm: norm(`${prefix}.ln_1`, d_model, { bias: true }),
    qkv: ["q_proj", "k_proj", "v_proj"].map((name) => matrix(`${attn}.${name}`, d_model, d_model)),
    qkv_bias: null,
    q_norm: null,
    k_norm: null,
    attn_out: matrix(`${attn}.out_proj`, d_model, d_model),
    attn_out_bias: vector(`${attn}.out_proj.bias`, d_model),
    attn_post_norm: null,
    mlp_norm: norm(`${prefix}.ln_2`, d_model, { bias: true }),
    mlp: plainMlp(`${prefix}.mlp`, "c_fc", "c_proj", sizes, true),
    mlp_post_norm: null,
  };
}
