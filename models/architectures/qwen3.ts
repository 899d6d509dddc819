import type { ConfigReader } from "../config.ts";
import { readRope } from "../rope.ts";
import type { Decoder } from "../spec.ts";
import { gatedLayer, matrix, readSizes, vector } from "./common.ts";

/** Dense Qwen 3 (`Qwen3ForCausalLM`): as Llama, with an RMS norm on each head's q and k. */
export function qwen3(config: ConfigReader): Decoder {
  const sizes = readSizes(config, { d_head: 128 });
  const attention_bias = config.bool("attention_bias", false);
  const tied_embeddings = config.bool("tie_word_embeddings", false);
  return {
    spec: {
      family: "qwen3",
      ...sizes,
      norm: { kind: "rms", eps: config.positive("rms_norm_eps", 1e-6) },
      activation: config.oneOf("hidden_act", ["silu"] as const, "silu"),
      qk_norm: "head",
      bias: { qkv: attention_bias, attn_out: attention_bias, mlp: false },
      attn_scale: sizes.d_head ** -0.5,
      ropes: [readRope(config, sizes.d_head, 10_000)],
      layers: readWindows(config, sizes.n_layers).map((window) => ({ rope: 0, window })),
      tied_embeddings,
      eos_token_ids: config.ids("eos_token_id"),
      bos_token_id: config.ids("bos_token_id")[0] ?? null,
    },
    tensors: {
      embed: matrix("model.embed_tokens", sizes.d_vocab, sizes.d_model),
      layers: Array.from({ length: sizes.n_layers }, (_, i) =>
        gatedLayer(`model.layers.${i}`, sizes, {
          attention_bias,
          attn_out_bias: attention_bias,
          mlp_bias: false,
          qk_norm: true,
        }),
      ),
      final_norm: vector("model.norm.weight", sizes.d_model),
      head: matrix(tied_embeddings ? "model.embed_tokens" : "lm_head", sizes.d_vocab, sizes.d_model),
    },
  };
}

/** Sliding windows count only with `use_sliding_window`; then `layer_types` decides, else `max_window_layers`. */
function readWindows(config: ConfigReader, n_layers: number): (number | null)[] {
  if (!config.bool("use_sliding_window", false) || !config.has("sliding_window")) {
    return new Array<null>(n_layers).fill(null);
  }
  const window = config.int("sliding_window");
  const types = config.list("layer_types");
  const first = config.int("max_window_layers", 28, 0);
  return Array.from({ length: n_layers }, (_, i) => {
    const slides = types === undefined ? i >= first : types[i] === "sliding_attention";
    return slides ? window : null;
  });
}
