// onnxruntime-web, its WASM execution provider, float32, one thread.
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web";
import { openCheckpoint, stackTransposed } from "./checkpoint.mjs";
import { decoderGraph } from "./onnx_graph.mjs";

const N_CTX = 512;

export const dtypes = ["f32"];

/** A `BenchEngine` over a folder of Llama's shape. */
export async function create(folder) {
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  const checkpoint = openCheckpoint(folder);
  const { model, weights, sizes } = decoderGraph(checkpoint.config, N_CTX);
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
    externalData: [...weights].map(([path, made_of]) => ({ path, data: bytesOf(checkpoint, made_of) })),
  });
  const { version } = JSON.parse(
    readFileSync(new URL("node_modules/onnxruntime-web/package.json", import.meta.url), "utf8"),
  );
  let cache = [];
  let n_past = 0;
  const feed = async (tokens) => {
    const n_all = n_past + tokens.length;
    const results = await session.run({
      input_ids: new ort.Tensor("int64", BigInt64Array.from(tokens, BigInt), [1, tokens.length]),
      seqlens_k: new ort.Tensor("int32", Int32Array.of(n_all - 1), [1]),
      total_sequence_length: new ort.Tensor("int32", Int32Array.of(n_all), []),
      ...Object.fromEntries(cache),
    });
    cache = cache.map(([name]) => [name, results[name.replace("past", "present")]]);
    n_past = n_all;
    return results.logits.data;
  };
  return {
    name: `onnxruntime-web ${version} wasm`,
    async prompt(tokens) {
      cache = emptyCache(sizes);
      n_past = 0;
      return await feed(tokens);
    },
    next: (token) => feed([token]),
    dispose: () => session.release(),
  };
}

function bytesOf(checkpoint, { data, parts, transpose }) {
  if (data !== undefined) return new Uint8Array(data.buffer);
  const tensors = parts.map((name) => checkpoint.tensor(name));
  return new Uint8Array((transpose ? stackTransposed(tensors) : tensors[0].values).buffer);
}

function emptyCache({ n_layers, n_kv_heads, d_head }) {
  const empty = () => new ort.Tensor("float32", new Float32Array(0), [1, n_kv_heads, 0, d_head]);
  return Array.from({ length: n_layers }, (_, i) => [
    [`past_key.${i}`, empty()],
    [`past_value.${i}`, empty()],
  ]).flat();
}
