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
  d_mlp: number;
  d_vocab: number;
  /** Longest context the checkpoint was made for, in tokens. */
  n_ctx: number;
  norm: NormSpec;
  activation: Activation;
  /** `head`: an RMS norm over each head's `d_head` of q and of k, before rope. */
  qk_norm: "none" | "head";
  bias: { qkv: boolean; attn_out: boolean; mlp: boolean };
  /** Softmax scale of attention scores. */
  attn_scale: number;
  /** The rope tables of the model; a layer names one by its index. */
  ropes: RopeSpec[];
  layers: LayerSpec[];
  tied_embeddings: boolean;
  /** Ids that end a reply, from config.json and generation_config.json. */
  eos_token_ids: number[];
  bos_token_id: number | null;
}

export interface NormSpec {
  kind: "rms";
  eps: number;
}

/** `silu(gate) * up`, as gated MLPs compute it. */
export type Activation = "silu" | "gelu_tanh";

export interface LayerSpec {
  /** Index into `ropes`, or null for a layer without positions (NoPE). */
  rope: number | null;
  /** Sliding window in tokens (a query sees itself and `window - 1` before it), or null for full attention. */
  window: number | null;
}

/**
 * One rotary table, half-split layout: element j of the first half turns with element j of the second by
 * the angle `position * inv_freq[j]`.
 */
export interface RopeSpec {
  /** Dimensions of a head that turn (even, at most d_head). */
  d_rot: number;
  /** [d_rot / 2], already scaled (linear, llama3, ...). */
  inv_freq: Float64Array;
  /** Factor on both cos and sin (1 unless the scaling says otherwise). */
  attention_factor: number;
}

/** Where a tensor of the checkpoint goes: its name in the file and the shape it must have. */
export interface TensorSpec {
  name: string;
  shape: number[];
}

/** The names and shapes of one decoder layer's tensors. Matrices are [rows = outputs, cols = inputs]. */
export interface LayerTensors {
  attn_norm: TensorSpec;
  /** q, k and v, in this order, stacked on rows. */
  qkv: TensorSpec[];
  qkv_bias: TensorSpec[] | null;
  q_norm: TensorSpec | null;
  k_norm: TensorSpec | null;
  attn_out: TensorSpec;
  attn_out_bias: TensorSpec | null;
  mlp_norm: TensorSpec;
  /** gate and up, in this order, stacked on rows. */
  gate_up: TensorSpec[];
  gate_up_bias: TensorSpec[] | null;
  mlp_out: TensorSpec;
  mlp_out_bias: TensorSpec | null;
}

/** The tensor-name table of a decoder. */
export interface TensorTable {
  embed: TensorSpec;
  layers: LayerTensors[];
  final_norm: TensorSpec;
  /** Equals `embed` in a tied model. */
  head: TensorSpec;
}

/** What an architecture file gives for a config. */
export interface Decoder {
  spec: DecoderSpec;
  tensors: TensorTable;
}
