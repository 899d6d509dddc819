// A Hugging Face folder of Llama's shape as a GGUF file for llama.cpp, with a tokenizer of names that mean nothing.
import { closeSync, openSync, writeSync } from "node:fs";

/** What llama.cpp calls a way to keep a matrix, and the bytes of a block of it. */
const TYPES = {
  f32: { code: 0, cols: 1, bytes: 4 },
  q4: { code: 2, cols: 32, bytes: 18 },
  q8: { code: 8, cols: 32, bytes: 34 },
};
const ALIGNMENT = 32;

/** Writes the file; `dtype` is f32, q8 (Q8_0) or q4 (Q4_0, with Q8_0 for what has a row for each token). */
export function writeGguf(path, { config, tensor }, dtype) {
  const heads = config.num_attention_heads;
  const kv_heads = config.num_key_value_heads ?? heads;
  const d_head = config.head_dim ?? config.hidden_size / heads;
  const table = dtype === "q4" ? "q8" : dtype;
  const tensors = [["token_embd.weight", "model.embed_tokens.weight", table]];
  if (config.tie_word_embeddings !== true) tensors.push(["output.weight", "lm_head.weight", table]);
  tensors.push(["output_norm.weight", "model.norm.weight", "f32"]);
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const [to, from] = [`blk.${i}`, `model.layers.${i}`];
    tensors.push(
      [`${to}.attn_norm.weight`, `${from}.input_layernorm.weight`, "f32"],
      [`${to}.attn_q.weight`, `${from}.self_attn.q_proj.weight`, dtype, heads],
      [`${to}.attn_k.weight`, `${from}.self_attn.k_proj.weight`, dtype, kv_heads],
      [`${to}.attn_v.weight`, `${from}.self_attn.v_proj.weight`, dtype],
      [`${to}.attn_output.weight`, `${from}.self_attn.o_proj.weight`, dtype],
      [`${to}.ffn_norm.weight`, `${from}.post_attention_layernorm.weight`, "f32"],
      [`${to}.ffn_gate.weight`, `${from}.mlp.gate_proj.weight`, dtype],
      [`${to}.ffn_up.weight`, `${from}.mlp.up_proj.weight`, dtype],
      [`${to}.ffn_down.weight`, `${from}.mlp.down_proj.weight`, dtype],
    );
  }
  const metadata = [
    ["general.architecture", "llama"],
    ["llama.context_length", u32(config.max_position_embeddings)],
    ["llama.embedding_length", u32(config.hidden_size)],
    ["llama.block_count", u32(config.num_hidden_layers)],
    ["llama.feed_forward_length", u32(config.intermediate_size)],
    ["llama.attention.head_count", u32(heads)],
    ["llama.attention.head_count_kv", u32(kv_heads)],
    ["llama.attention.layer_norm_rms_epsilon", f32(config.rms_norm_eps)],
    ["llama.rope.dimension_count", u32(d_head)],
    ["llama.rope.freq_base", f32(config.rope_theta ?? config.rope_parameters?.rope_theta ?? 10_000)],
    ["llama.vocab_size", u32(config.vocab_size)],
    ["tokenizer.ggml.model", "llama"],
    ["tokenizer.ggml.tokens", array(8, tokenNames(config.vocab_size).map(stringBytes))],
    ["tokenizer.ggml.scores", array(6, Array(config.vocab_size).fill(f32(0).bytes))],
    ["tokenizer.ggml.bos_token_id", u32(1)],
    ["tokenizer.ggml.eos_token_id", u32(2)],
  ];
  const file = openSync(path, "w");
  let at = 0;
  const write = (bytes) => {
    writeSync(file, bytes);
    at += bytes.length;
  };
  const pad = () => write(new Uint8Array((ALIGNMENT - (at % ALIGNMENT)) % ALIGNMENT));
  write(head(tensors, metadata, tensor));
  pad();
  for (const [, name, type, n_heads] of tensors) {
    const { values, shape } = tensor(name);
    const rows = n_heads === undefined ? values : interleaved(values, n_heads, shape);
    write(packed(rows, type));
    pad();
  }
  closeSync(file);
}

/** Everything before the tensors' bytes. */
function head(tensors, metadata, tensor) {
  const parts = [Buffer.from("GGUF"), u32Bytes(3), u64Bytes(tensors.length), u64Bytes(metadata.length)];
  for (const [key, value] of metadata) {
    parts.push(stringBytes(key));
    if (typeof value === "string") parts.push(u32Bytes(8), stringBytes(value));
    else parts.push(u32Bytes(value.type), value.bytes);
  }
  let offset = 0;
  for (const [name, source, type] of tensors) {
    const { shape } = tensor(source);
    const { code, cols, bytes } = TYPES[type];
    parts.push(stringBytes(name), u32Bytes(shape.length));
    for (const n of shape.toReversed()) parts.push(u64Bytes(n));
    parts.push(u32Bytes(code), u64Bytes(offset));
    const size = (shape.reduce((product, n) => product * n, 1) / cols) * bytes;
    offset += Math.ceil(size / ALIGNMENT) * ALIGNMENT;
  }
  return Buffer.concat(parts);
}

/** llama.cpp turns neighbouring rows of a head, not halves. */
function interleaved(values, n_heads, [rows, cols]) {
  const out = new Float32Array(values.length);
  const half = rows / n_heads / 2;
  for (let row = 0; row < rows; row++) {
    const head = Math.floor(row / (2 * half));
    const within = row % (2 * half);
    const to = 2 * half * head + 2 * (within % half) + Math.floor(within / half);
    out.set(values.subarray(row * cols, (row + 1) * cols), to * cols);
  }
  return out;
}

function packed(values, type) {
  if (type === "f32") return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const { bytes } = TYPES[type];
  const out = new Uint8Array((values.length / 32) * bytes);
  const view = new DataView(out.buffer);
  for (let block = 0; block < values.length / 32; block++) {
    const of = values.subarray(32 * block, 32 * block + 32);
    if (type === "q8") packQ8(of, view, block * bytes);
    else packQ4(of, view, block * bytes);
  }
  return out;
}

function packQ8(values, view, at) {
  const scale = values.reduce((most, x) => Math.max(most, Math.abs(x)), 0) / 127;
  view.setUint16(at, halfBits(scale), true);
  for (let i = 0; i < 32; i++) view.setInt8(at + 2 + i, scale === 0 ? 0 : Math.round(values[i] / scale));
}

function packQ4(values, view, at) {
  const most = values.reduce((best, x) => (Math.abs(x) > Math.abs(best) ? x : best), 0);
  const scale = most / -8;
  view.setUint16(at, halfBits(scale), true);
  const code = (x) => (scale === 0 ? 8 : Math.max(0, Math.min(15, Math.floor(x / scale + 8.5))));
  for (let i = 0; i < 16; i++) view.setUint8(at + 2 + i, code(values[i]) | (code(values[i + 16]) << 4));
}

/** The bits of the float16 next to a number. */
function halfBits(value) {
  const size = Math.abs(value);
  const sign = value < 0 ? 0x8000 : 0;
  if (size === 0) return sign;
  const exponent = Math.max(-14, Math.floor(Math.log2(size)));
  const units = Math.round(size / 2 ** (exponent - 10));
  return sign | (exponent === -14 && units < 1024 ? units : ((exponent + 15) << 10) + (units - 1024));
}

/** The tokens that a tokenizer must have, and others. */
function tokenNames(count) {
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`);
  const needed = ["<unk>", "<s>", "</s>", ...bytes];
  return Array.from({ length: count }, (_, i) => needed[i] ?? `token${i}`);
}

function array(type, elements) {
  return { type: 9, bytes: Buffer.concat([u32Bytes(type), u64Bytes(elements.length), ...elements]) };
}

const u32 = (value) => ({ type: 4, bytes: u32Bytes(value) });

function f32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return { type: 6, bytes };
}

function u32Bytes(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64Bytes(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function stringBytes(text) {
  const bytes = Buffer.from(text);
  return Buffer.concat([u64Bytes(bytes.length), bytes]);
}
