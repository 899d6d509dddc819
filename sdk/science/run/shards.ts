import { CapstanError } from "../../../models/index.ts";
import * as rules from "../../common/options.ts";
import { encodeTensorFile, TensorFile } from "../tensor_file.ts";
import { crc32 } from "./checksum.ts";
import type { ActivationPlace, ResponseEntry } from "./records.ts";
import type { RunStore } from "./store.ts";

/** Activations of a run: safetensors of one flush each, `resid_post` [n, n_kept_layers, d_model] and the keys. */

const FORMAT = "capstan.activations";
/** Where shards are kept in the run's folder. */
export const SHARDS = "activations";

export interface Shard {
  keys: string[];
  /** [n, n_kept_layers, d_model], in the order of `keys`. */
  data: Float32Array;
}

/** Sizes of a response's activation: layers that are kept, and d_model. */
export interface ActivationShape {
  n_kept: number;
  d_model: number;
}

/** What lines say of a shard's file. */
export type ShardFile = Pick<ActivationPlace, "shard" | "bytes" | "crc32">;

/** Name of shard `index` in the run's folder. */
export function shardFile(index: number): string {
  return `${SHARDS}/${String(index).padStart(6, "0")}.safetensors`;
}

/** The index of a shard by its file's name in the folder of shards; undefined for another file. */
export function shardIndex(name: string): number | undefined {
  const [, digits] = /^(\d{6,})\.safetensors$/.exec(name) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** The responses of each shard. */
export function byShard(responses: Iterable<ResponseEntry>): Map<number, ResponseEntry[]> {
  const shards = new Map<number, ResponseEntry[]>();
  for (const response of responses) {
    if (response.activation === undefined) continue;
    const list = shards.get(response.activation.shard);
    if (list === undefined) shards.set(response.activation.shard, [response]);
    else list.push(response);
  }
  return shards;
}

/** Writes a shard whole; gives its file's size and checksum. */
export async function writeShard(
  store: RunStore,
  index: number,
  shard: Shard,
  { n_kept, d_model }: ActivationShape,
): Promise<ShardFile> {
  const sizes = [shard.keys.length, n_kept, d_model];
  const metadata = { format: FORMAT, format_version: 1, keys: shard.keys };
  const tensors = { resid_post: { shape: sizes, data: shard.data } };
  const bytes = encodeTensorFile({ tensors, metadata });
  await store.write(shardFile(index), bytes);
  return { shard: index, bytes: bytes.length, crc32: crc32(bytes) };
}

/**
 * Reads a shard.
 *
 * @throws CapstanError `not_found` when it is gone; `bad_file` when it is of another size, checksum or shape than the
 *   lines say
 */
export async function readShard(store: RunStore, file: ShardFile, shape: ActivationShape): Promise<Shard> {
  const name = `${store.name}/${shardFile(file.shard)}`;
  const bytes = await checkedBytes(store, file);
  const tensors = new TensorFile(bytes, name);
  tensors.expectFormat(FORMAT, 1);
  const keys = tensors.json<string[]>("keys", rules.texts);
  return { keys, data: tensors.f32("resid_post", [keys.length, shape.n_kept, shape.d_model]) };
}

/** Reads a shard's file to see whether it is as the lines say. Throws as `readShard`. */
export async function checkShard(store: RunStore, file: ShardFile): Promise<void> {
  await checkedBytes(store, file);
}

/** Looks for a shard's file and at its size alone. Throws as `readShard`. */
export async function checkShardSize(store: RunStore, file: ShardFile): Promise<void> {
  checkSize(store, file, await store.size(shardFile(file.shard)));
}

async function checkedBytes(store: RunStore, file: ShardFile): Promise<Uint8Array> {
  const bytes = await store.read(shardFile(file.shard));
  checkSize(store, file, bytes?.length);
  const found = file.crc32 === undefined ? undefined : crc32(bytes!);
  if (found !== file.crc32) throw damaged(store, file, `checksum ${file.crc32}`, `${found}`);
  return bytes!;
}

function checkSize(store: RunStore, file: ShardFile, size: number | undefined): void {
  if (size === undefined)
    throw damaged(store, file, "the shard that responses.jsonl names", "none", "not_found");
  if (size !== file.bytes) throw damaged(store, file, `${file.bytes} bytes`, `${size}`);
}

function damaged(
  store: RunStore,
  { shard }: ShardFile,
  need: string,
  found: string,
  code: "bad_file" | "not_found" = "bad_file",
): CapstanError {
  const fix = "Collect again with the same settings: what it held is made again.";
  return new CapstanError(code, { action: `read ${store.name}/${shardFile(shard)}`, need, found, fix });
}
