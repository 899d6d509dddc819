import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder, TensorTable } from "../spec.ts";
import { gatedLayer, matrix, readSizes, vector } from "./common.ts";

/** Llama 2, 3, 3.1, 3.2, 3.3 and what is shaped like them (`LlamaForCausalLM`). */
export function llama(config: ConfigReader): Decoder {
  const sizes = readSizes(config);
  const attention_bias = config.bool("attention_bias", false);
  const mlp_bias = config.bool("mlp_bias", false);
  const tied_embeddings = config.bool("tie_word_embeddings", false);
  const tensors: TensorTable = {
    embed: matrix("model.embed_tokens", sizes.d_vocab, sizes.d_model),
    layers: Array.from({ length: sizes.n_layers }, (_, i) =>
      gatedLayer(`model.layers.${i}`, sizes, {
        attention_bias,
        attn_out_bias: attention_bias,
        mlp_bias,
        qk_norm: false,
      }),
    ),
    final_norm: vector("model.norm.weight", sizes.d_model),
    head: matrix(tied_embeddings ? "model.embed_tokens" : "lm_head", sizes.d_vocab, sizes.d_model),
  };
  return {
    spec: {
      family: "llama",
      ...sizes,
      norm: { kind: "rms", eps: config.positive("rms_norm_eps", 1e-6) },
      activation: config.oneOf("hidden_act", ["silu"] as const, "silu"),
      qk_norm: "none",
      bias: { qkv: attention_bias, attn_out: attention_bias, mlp: mlp_bias },
      attn_scale: sizes.d_head ** -0.5,
      ropes: [readRope(config, sizes.d_head, 10_000)],
      layers: Array.from({ length: sizes.n_layers }, () => ({ rope: 0, window: null })),
      tied_embeddings,
      eos_token_ids: config.ids("eos_token_id"),
      bos_token_id: config.ids("bos_token_id")[0] ?? null,
    },
    tensors,
  };
}
