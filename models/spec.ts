/**
 * What a decoder is, as data. A family's file in `architectures/` maps a Hugging Face `config.json`
 * to one of these; nothing after it knows any family by name.
 */
export interface DecoderSpec {
  /** `model_type` of the config: a label for reports, never switched on. */
  family: string;
  d_model: number;
  n_layers: number;
  n_heads: number;
  n_kv_heads: number;
  d_head: number;
  /** Width of the dense MLPs. */
  d_mlp: number;
  d_vocab: number;
  /** Longest context the checkpoint was made for, in tokens. */
  n_ctx: number;
  norm: NormSpec;
  /**
   * `parallel`: attention and MLP both read the stream as the layer found it, and both are added at its end.
   * Then there is no `hook_resid_mid`.
   */
  block: "sequential" | "parallel";
  activation: Activation;
  /** MLP: activation(gate) * up, or activation of one product. */
  gated: boolean;
  /** The norm (as `norm`) that q and k get before rope: each head alone, or the row of all heads as one. */
  qk_norm: "none" | "head" | "row";
  /** Factor on attention scores before the softmax. */
  attn_scale: number;
  /** Factor on q that grows with its position; null for none. */
  q_scale: QScale | null;
  /** Scores become softcap * tanh(score / softcap); null for none. */
  attn_softcap: number | null;
  /** Factors on the embedding, on what is added to the stream, and on the logits: 1 for most. */
  embed_scale: number;
  residual_scale: number;
  logit_scale: number;
  /** Logits become softcap * tanh(logit / softcap); null for none. */
  logit_softcap: number | null;
  /** The rope tables of the model; a layer names one by its index. */
  ropes: RopeSpec[];
  rope_layout: RopeLayout;
  layers: LayerSpec[];
  /** The head is the embedding: as config.json says, and once a model is loaded as its files say. */
  tied_embeddings: boolean;
  /** Ids that end a reply, from config.json and generation_config.json. */
  eos_token_ids: number[];
  bos_token_id: number | null;
}

/** `rms`: x / sqrt(mean(x^2) + eps). `layer`: (x - mean(x)) / sqrt(var(x) + eps). Then times weight, plus bias. */
export type NormKind = "rms" | "layer";

/** A normalisation and its epsilon. */
export interface NormSpec {
  kind: NormKind;
  eps: number;
}

/** `gelu` is by erf, `gelu_tanh` its usual approximation; `relu` max(x, 0), `relu2` its square. */
export type Activation = "silu" | "gelu" | "gelu_tanh" | "relu" | "relu2";

/** Element j of a head's turning part pairs with j + half (`half`), or 2j with 2j + 1 (`interleaved`). */
export type RopeLayout = "half" | "interleaved";

/** What differs from layer to layer. */
export interface LayerSpec {
  /** Index into `ropes`, or null for a layer without positions (NoPE). */
  rope: number | null;
  /** Sliding window in tokens (a query sees itself and `window - 1` before it), or null for full attention. */
  window: number | null;
  /** Null for a dense MLP. */
  experts: ExpertsSpec | null;
  /** Factor on this layer's attention scores, where it is not the model's `attn_scale`. */
  attn_scale?: number;
}

/** A layer of many gated MLPs, of which each token takes a few. */
export interface ExpertsSpec {
  n_experts: number;
  /** Experts that a token takes. */
  top_k: number;
  /** Width of one expert. */
  d_expert: number;
  /** Whether the chosen experts' shares (a softmax over all) are made to sum to 1. */
  renormalise: boolean;
}

/** q of position p, once it is turned, is multiplied by 1 + beta ln(1 + floor(p / every)). */
export interface QScale {
  beta: number;
  /** Tokens, a whole number. */
  every: number;
}

/**
 * One rotary table: pair j of a head turns by the angle `position * inv_freq[j]`.
 *
 * Some depend on the length of the forward call that feeds a token: the position of the call's last token + 1, the past
 * counted. `models/rope.ts` says how.
 */
export interface RopeSpec {
  /** Dimensions of a head that turn (even, at most d_head). */
  d_rot: number;
  /** [d_rot / 2], already scaled (linear, llama3, ...). */
  inv_freq: Float64Array;
  /** Factor on both cos and sin (1 unless the scaling says otherwise). */
  attention_factor: number;
  /** Longest context that a scaled rope is made for, in tokens; absent where nothing is scaled. */
  scaled_n_ctx?: number;
  /** Other frequencies in calls longer than `length`; absent where no length matters. */
  beyond?: RopeBeyond;
}

/** What a rope that depends on length has in calls longer than `length` tokens. */
export type RopeBeyond = { length: number } & (
  | {
      kind: "longrope";
      /** [d_rot / 2] */
      inv_freq: Float64Array;
    }
  | {
      /** NTK: theta (factor * n / length - (factor - 1)) ^ (d_rot / (d_rot - 2)) in a call of n tokens. */
      kind: "dynamic";
      theta: number;
      factor: number;
    }
);

/**
 * Where a weight comes from: a tensor of the checkpoint, its shape in the file, and what is done to it while it
 * is loaded, in this order (`openPart` of sdk/checkpoint does it, for every device).
 */
export interface TensorSpec {
  name: string;
  shape: number[];
  /** The file has [inputs, outputs]. */
  transposed?: true;
  /** These rows alone (of a vector: elements), end exclusive. */
  rows?: { start: number; end: number };
  /** Added to every value of a vector: some checkpoints hold a norm's weight less 1. */
  add?: number;
}

/** The names and shapes of one decoder layer's tensors. Matrices are [rows = outputs, cols = inputs]. */
export interface LayerTensors {
  /** Null where attention reads the stream as it is. */
  attn_norm: NormTensors | null;
  /** q, k and v, in this order, stacked on rows. */
  qkv: TensorSpec[];
  qkv_bias: TensorSpec[] | null;
  /** [d_head], or of all heads one after the other. */
  q_norm: TensorSpec[] | null;
  k_norm: TensorSpec[] | null;
  attn_out: TensorSpec;
  attn_out_bias: TensorSpec | null;
  /** Of what attention gives, before it is added. */
  attn_post_norm: NormTensors | null;
  /** Null where the MLP reads what attention read (parallel) or the stream as it is (sequential). */
  mlp_norm: NormTensors | null;
  mlp: MlpTensors | ExpertTensors;
  mlp_post_norm: NormTensors | null;
}

/** The tensors of a normalisation. */
export interface NormTensors {
  weight: TensorSpec;
  bias: TensorSpec | null;
}

/** The tensors of a dense MLP. */
export interface MlpTensors {
  /** gate and up, in this order, stacked on rows; the one product of an MLP without gate. */
  in: TensorSpec[];
  in_bias: TensorSpec[] | null;
  out: TensorSpec;
  out_bias: TensorSpec | null;
}

/** The tensors of a mixture of experts. */
export interface ExpertTensors {
  /** [n_experts, d_model] */
  router: TensorSpec;
  /** For each expert gate [d_expert, d_model] and up, stacked on rows, expert by expert. */
  in: TensorSpec[];
  /** For each expert [d_model, d_expert]. */
  out: TensorSpec[];
}

/** The tensor-name table of a decoder. */
export interface TensorTable {
  embed: TensorSpec;
  /** [positions, d_model], added to the embedding, in models that learn their positions. */
  positions: TensorSpec | null;
  layers: LayerTensors[];
  final_norm: NormTensors;
  /** Not read where embeddings are tied. */
  head: TensorSpec;
  /** [d_vocab], added to the logits before their scale; null for most. */
  head_bias: TensorSpec | null;
}

/** What an architecture file gives for a config. */
export interface Decoder {
  spec: DecoderSpec;
  tensors: TensorTable;
}
