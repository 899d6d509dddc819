// A decoder of Llama's shape as an ONNX graph, in the fused operators that exported models for the web have
// (GroupQueryAttention with rotary inside, SkipSimplifiedLayerNormalization): the peer at its best.
import { bytes, float, int, message } from "./protobuf.mjs";

const FLOAT = 1;
const INT32 = 6;
const INT64 = 7;
const MICROSOFT = "com.microsoft";

/**
 * @param config a Llama config.json
 * @param n_ctx positions the rotary tables have
 * @returns `model`: the bytes of the ONNX model; `weights`: what its external tensors are made of, by name:
 *   `{ parts, transpose }` (checkpoint tensors stacked on rows; a MatMul wants [in, out]) or `{ data }`
 */
export function decoderGraph(config, n_ctx) {
  const graph = new Graph();
  const sizes = readSizes(config);
  const { n_layers, n_heads, n_kv_heads, d_head, d_model, d_mlp, d_vocab, eps } = sizes;
  const d_qkv = (n_heads + 2 * n_kv_heads) * d_head;
  graph.input("input_ids", INT64, [1, "n_tokens"]);
  graph.input("seqlens_k", INT32, [1]);
  graph.input("total_sequence_length", INT32, []);
  const rope = rotaryTables(d_head, Number(config.rope_theta ?? 10_000), n_ctx);
  for (const name of ["cos", "sin"]) graph.external(name, [n_ctx, d_head / 2], { data: rope[name] });
  graph.external("embed", [d_vocab, d_model], { parts: ["model.embed_tokens.weight"] });
  const linear = (name, rows, cols, ...parts) =>
    graph.external(name, [cols, rows], { parts, transpose: true });

  let h = graph.node("Gather", ["embed", "input_ids"]);
  let delta;
  const norm = (name, checkpoint) => {
    graph.external(name, [d_model], { parts: [checkpoint] });
    if (delta === undefined)
      return graph.node("SimplifiedLayerNormalization", [h, name], { axis: -1, epsilon: real(eps) });
    const [x, sum] = graph.skipNorm(h, delta, name, eps);
    h = sum;
    return x;
  };
  for (let i = 0; i < n_layers; i++) {
    const from = `model.layers.${i}`;
    const attn = (part) => `${from}.self_attn.${part}_proj.weight`;
    const mlp = (part) => `${from}.mlp.${part}_proj.weight`;
    let x = norm(`norm1.${i}`, `${from}.input_layernorm.weight`);
    linear(`qkv.${i}`, d_qkv, d_model, attn("q"), attn("k"), attn("v"));
    const qkv = graph.node("MatMul", [x, `qkv.${i}`]);
    const mixed = graph.attention(qkv, i, sizes);
    linear(`o.${i}`, d_model, n_heads * d_head, attn("o"));
    delta = graph.node("MatMul", [mixed, `o.${i}`]);
    x = norm(`norm2.${i}`, `${from}.post_attention_layernorm.weight`);
    linear(`gate.${i}`, d_mlp, d_model, mlp("gate"));
    linear(`up.${i}`, d_mlp, d_model, mlp("up"));
    linear(`down.${i}`, d_model, d_mlp, mlp("down"));
    // QuickGelu with alpha 1 is silu.
    const gate = graph.node(
      "QuickGelu",
      [graph.node("MatMul", [x, `gate.${i}`])],
      { alpha: real(1) },
      MICROSOFT,
    );
    const up = graph.node("MatMul", [x, `up.${i}`]);
    delta = graph.node("MatMul", [graph.node("Mul", [gate, up]), `down.${i}`]);
  }
  const x = norm("final_norm", "model.norm.weight");
  const last = graph.node("Gather", [x, graph.constant("minus_one", -1)], { axis: 1 });
  linear(
    "head",
    d_vocab,
    d_model,
    config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight",
  );
  graph.node("MatMul", [last, "head"], {}, "", ["logits"]);
  graph.output("logits", FLOAT, [1, d_vocab]);
  return { model: graph.encode(), weights: graph.weights, sizes };
}

function readSizes(config) {
  const n_heads = config.num_attention_heads;
  return {
    n_layers: config.num_hidden_layers,
    n_heads,
    n_kv_heads: config.num_key_value_heads ?? n_heads,
    d_head: config.head_dim ?? config.hidden_size / n_heads,
    d_model: config.hidden_size,
    d_mlp: config.intermediate_size,
    d_vocab: config.vocab_size,
    eps: config.rms_norm_eps,
  };
}

function rotaryTables(d_head, theta, n_ctx) {
  const half = d_head / 2;
  const cos = new Float32Array(n_ctx * half);
  const sin = new Float32Array(n_ctx * half);
  for (let p = 0, at = 0; p < n_ctx; p++) {
    for (let j = 0; j < half; j++, at++) {
      const angle = Math.fround(p * Math.fround(theta ** ((-2 * j) / d_head)));
      cos[at] = Math.cos(angle);
      sin[at] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

/** Collects nodes, tensors, inputs and outputs under their names; writes the ModelProto. */
class Graph {
  weights = new Map();
  #nodes = [];
  #initializers = [];
  #inputs = [];
  #outputs = [];
  #count = 0;

  input(name, type, shape) {
    this.#inputs.push(bytes(11, valueInfo(name, type, shape)));
  }

  output(name, type, shape) {
    this.#outputs.push(bytes(12, valueInfo(name, type, shape)));
  }

  /** A float tensor whose bytes are handed over beside the model. */
  external(name, shape, made_of) {
    this.weights.set(name, made_of);
    const entry = (key, value) => bytes(13, message(bytes(1, key), bytes(2, value)));
    this.#initializers.push(
      bytes(
        5,
        message(
          shape.map((n) => int(1, n)),
          int(2, FLOAT),
          bytes(8, name),
          entry("location", name),
          entry("offset", "0"),
          entry("length", String(4 * shape.reduce((a, b) => a * b))),
          int(14, 1),
        ),
      ),
    );
  }

  /** A scalar int64. */
  constant(name, value) {
    const raw = new Uint8Array(BigInt64Array.of(BigInt(value)).buffer);
    this.#initializers.push(bytes(5, message(int(2, INT64), bytes(8, name), bytes(9, raw))));
    return name;
  }

  /** The name of the node's first output. */
  node(op, inputs, attributes = {}, domain = "", outputs = [`t${this.#count++}`]) {
    this.#nodes.push(
      bytes(
        1,
        message(
          inputs.map((name) => bytes(1, name)),
          outputs.map((name) => bytes(2, name)),
          bytes(3, `n${this.#nodes.length}`),
          bytes(4, op),
          Object.entries(attributes).map(([name, value]) => bytes(5, attribute(name, value))),
          bytes(7, domain),
        ),
      ),
    );
    return outputs[0];
  }

  /** The normed sum of two, and the sum. */
  skipNorm(h, delta, weight, epsilon) {
    const outputs = [`t${this.#count++}`, "", "", `t${this.#count++}`];
    this.node(
      "SkipSimplifiedLayerNormalization",
      [h, delta, weight],
      { epsilon: real(epsilon) },
      MICROSOFT,
      outputs,
    );
    return [outputs[0], outputs[3]];
  }

  attention(qkv, layer, { n_heads, n_kv_heads, d_head }) {
    const past = [`past_key.${layer}`, `past_value.${layer}`];
    const present = [`present_key.${layer}`, `present_value.${layer}`];
    for (const name of past) this.input(name, FLOAT, [1, n_kv_heads, "n_past", d_head]);
    for (const name of present) this.output(name, FLOAT, [1, n_kv_heads, "n_all", d_head]);
    return this.node(
      "GroupQueryAttention",
      [qkv, "", "", ...past, "seqlens_k", "total_sequence_length", "cos", "sin"],
      { num_heads: n_heads, kv_num_heads: n_kv_heads, do_rotary: 1, rotary_interleaved: 0 },
      MICROSOFT,
      [`t${this.#count++}`, ...present],
    );
  }

  encode() {
    const graph = message(this.#nodes, bytes(2, "decoder"), this.#initializers, this.#inputs, this.#outputs);
    const opset = (domain, version) => bytes(8, message(bytes(1, domain), int(2, version)));
    return message(int(1, 8), bytes(2, "capstan-bench"), bytes(7, graph), opset("", 17), opset(MICROSOFT, 1));
  }
}

/** An attribute of float type; plain numbers are ints. */
function real(value) {
  return { real: value };
}

function attribute(name, value) {
  const number = typeof value === "number" ? [int(3, value), int(20, 2)] : [float(2, value.real), int(20, 1)];
  return message(bytes(1, name), number);
}

function valueInfo(name, type, shape) {
  const dims = shape.map((n) => bytes(1, typeof n === "string" ? bytes(2, n) : int(1, n)));
  const tensor = message(int(1, type), bytes(2, message(dims)));
  return message(bytes(1, name), bytes(2, bytes(1, tensor)));
}
