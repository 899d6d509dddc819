import { encodeTensorFile, TensorFile } from "../science/tensor_file.ts";
import type { RunStore } from "./store.ts";

/** Activations of a run: safetensors of one flush each, `resid_post` [n, n_layers, d_model] and the keys. */

const FORMAT = "capstan.activations";

export interface Shard {
  keys: string[];
  /** [n, n_layers, d_model], in the order of `keys`. */
  data: Float32Array;
}

/** Name of shard `index` in the run's folder. */
export function shardFile(index: number): string {
  return `activations/${String(index).padStart(6, "0")}.safetensors`;
}

/** Writes a shard whole; gives its size in bytes. */
export async function writeShard(
  store: RunStore,
  index: number,
  shard: Shard,
  shape: { n_layers: number; d_model: number },
): Promise<number> {
  const sizes = [shard.keys.length, shape.n_layers, shape.d_model];
  const metadata = { format: FORMAT, format_version: 1, keys: shard.keys };
  const bytes = encodeTensorFile({ resid_post: { shape: sizes, data: shard.data } }, metadata);
  await store.write(shardFile(index), bytes);
  return bytes.length;
}

/** Reads a shard. Throws `bad_file` when it is damaged or of another shape, `not_found` when it is gone. */
export async function readShard(
  store: RunStore,
  index: number,
  shape: { n_layers: number; d_model: number },
): Promise<Shard> {
  const name = `${store.name}/${shardFile(index)}`;
  const bytes = await store.read(shardFile(index));
  const file = new TensorFile(bytes ?? new Uint8Array(0), name);
  file.expectFormat(FORMAT, 1);
  const keys = file.json<string[]>("keys");
  return { keys, data: file.f32("resid_post", [keys.length, shape.n_layers, shape.d_model]) };
}
