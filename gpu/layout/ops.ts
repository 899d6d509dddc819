import { record } from "./record.ts";

/**
 * Uniform records of dispatches, one a kernel. Sizes, strides and addresses in activations and `vectors` count floats;
 * those in matrices count u32s of the chunk that is bound.
 */

export const ACCUMULATE_OP = record({ d_model: "u32" });

export const ATTENTION_OP = record({
  n_kv_heads: "u32",
  heads_per_kv: "u32",
  out_stride: "u32",
  window: "u32",
  scale: "f32",
  softcap: "f32",
});

export const EXPERTS_OP = record({
  /** Experts of this chunk: the first and how many. */
  first_expert: "u32",
  n_experts: "u32",
  scales_at: "u32",
  /** Values of a padded row of weights or input. */
  k: "u32",
  /** Rows of one expert. */
  rows: "u32",
  out_stride: "u32",
});

export const MATMUL_OP = record({
  /** Weight rows of this chunk. */
  n_rows: "u32",
  scales_at: "u32",
  /** Its first row in the whole matrix. */
  first_row: "u32",
  /** Values of a padded row of weights or input. */
  k: "u32",
  /** Rows of the whole matrix. */
  rows: "u32",
  bias_at: "u32",
  /** Where this chunk's outputs begin in a row, and how many there are, padding included. */
  out_at: "u32",
  n_out: "u32",
  out_stride: "u32",
});

export const NORM_OP = record({
  weight_at: "u32",
  bias_at: "u32?",
  d_model: "u32",
  stride: "u32",
  eps: "f32",
});

const RESIDUAL = {
  /** Where what is added is read, and the sites that the new row passes. */
  sites: "vec3<u32?>",
  d_model: "u32",
  stride: "u32",
  scale: "f32",
  eps: "f32",
  norm_weight_at: "u32",
  norm_bias_at: "u32?",
  /** The norm of what is added, before it is. */
  pre_weight_at: "u32",
  pre_bias_at: "u32?",
  /** Of the router's matrix among the vectors. */
  router_at: "u32",
} as const;

export const RESIDUAL_OP = record(RESIDUAL);

export const EMBED_OP = record({
  ...RESIDUAL,
  /** Rows of this chunk of the matrix. */
  first_row: "u32",
  n_rows: "u32",
  scales_at: "u32",
  /** Values of a padded row. */
  k: "u32",
});

export const ROPE_APPEND_OP = record({
  q_norm_at: "u32",
  k_norm_at: "u32",
  /** Of norms over whole rows. */
  q_bias_at: "u32?",
  k_bias_at: "u32?",
  n_heads: "u32",
  n_kv_heads: "u32",
  qkv_stride: "u32",
  out_stride: "u32",
  /** Half of the dimensions that are rotated. */
  half: "u32",
  eps: "f32",
  /** q of position p is multiplied by 1 + beta ln(1 + floor(p / every)). */
  q_beta: "f32",
  q_every: "u32",
  /** Of a rope that goes by length: rotations of a row in the tables before its own. */
  first_rotation: "u32",
});

export const SAMPLE_OP = record({ d_vocab: "u32", stride: "u32" });

export const CONVERT_OP = record({
  rows: "u32",
  cols: "u32",
  /** Blocks of 64 in a padded row. */
  blocks: "u32",
  /** Number of the chunk's first element in its tensor, for messages. */
  first_element: "u32",
  /** Number of the tensor, for messages. */
  tensor: "u32",
  /** Row of the stored matrix that the first row goes to, and from one to the next. */
  row_start: "u32",
  row_step: "u32",
  /** Of the stored chunk's row 0. */
  to: "u32",
  row_stride: "u32",
  scales_to: "u32",
});
