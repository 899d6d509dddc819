import type { ConfigReader } from "../config.ts";
import type { Decoder } from "../spec.ts";
import {
  decoder,
  gatedLayer,
  matrix,
  norm,
  plainMlp,
  readActivation,
  readSizes,
  repeat,
  vector,
} from "./common.ts";

/** The rows of its table of positions that OPT leaves unused. */
const FIRST_POSITION = 2;

/** OPT (`OPTForCausalLM`) but its 350M: learned positions, layer norms, biases, relu. */
export function opt(config: ConfigReader): Decoder {
  refuseOthers(config);
  const d_mlp = config.int("ffn_dim", 3072);
  const read = readSizes(config, { d_model: 768, n_layers: 12, n_heads: 12, d_mlp, d_vocab: 50_272 });
  const sizes = { ...read, n_kv_heads: read.n_heads, d_mlp };
  const { d_model, n_ctx } = sizes;
  const bias = config.bool("enable_bias", true);
  const norms = { bias: true };
  return decoder(
    config,
    sizes,
    {
      family: "opt",
      norm: { kind: "layer", eps: 1e-5 },
      activation: readActivation(config, "activation_function", "relu"),
      gated: false,
      ropes: [],
      layers: repeat(sizes.n_layers, () => ({ rope: null, window: null, experts: null })),
      tied_embeddings: config.bool("tie_word_embeddings", true),
    },
    {
      layers: "model.decoder.layers",
      layer: (prefix) => ({
        ...gatedLayer(prefix, sizes, { qkv_bias: bias }),
        attn_norm: norm(`${prefix}.self_attn_layer_norm`, d_model, norms),
        attn_out: matrix(`${prefix}.self_attn.out_proj`, d_model, d_model),
        attn_out_bias: bias ? vector(`${prefix}.self_attn.out_proj.bias`, d_model) : null,
        mlp_norm: norm(`${prefix}.final_layer_norm`, d_model, norms),
        mlp: plainMlp(prefix, "fc1", "fc2", sizes, bias),
      }),
      embed: "model.decoder.embed_tokens",
      positions: {
        ...matrix("model.decoder.embed_positions", FIRST_POSITION + n_ctx, d_model),
        rows: { start: FIRST_POSITION, end: FIRST_POSITION + n_ctx },
      },
      final_norm: norm("model.decoder.final_layer_norm", d_model, norms),
    },
  );
}

/** OPT-350M puts its norms after, and projects a narrower embedding in and out; Galactica has norms without weights. */
function refuseOthers(config: ConfigReader): void {
  if (!config.bool("do_layer_norm_before", true))
    config.refuse("do_layer_norm_before", false, "true: norms after attention and MLP are not run");
  const width = config.int("hidden_size", 768);
  const narrow = config.int("word_embed_proj_dim", width);
  if (narrow !== width)
    config.refuse(
      "word_embed_proj_dim",
      narrow,
      `hidden_size (${width}): projections beside the embedding are not run`,
    );
  if (config.bool("_remove_final_layer_norm", false))
    config.refuse("_remove_final_layer_norm", true, "false: a decoder without a last norm is not run");
  if (!config.bool("layer_norm_elementwise_affine", true))
    config.refuse("layer_norm_elementwise_affine", false, "true: norms without weights are not run");
}
