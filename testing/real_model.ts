import { readFileSync } from "node:fs";
import { join } from "node:path";
import { relativeBound, rowError } from "../conformance/bounds.ts";
import { entryOf, itemAt } from "../models/certain.ts";
import { decodeSafetensors } from "../sdk/checkpoint/safetensors/index.ts";
import type { Message } from "../sdk/index.ts";

/** What `conformance/real_model/generate.py` made: its README says what each file holds. */
const folder = join(import.meta.dirname, "..", "conformance", "real_model", "reference");

/** A prompt and its greedy continuation by transformers. */
export interface GreedyRecord {
  name: string;
  /** A chat, or a text that is none. */
  prompt: string | Message[];
  n_prompt: number;
  /** The prompt's ids, then the continuation's. */
  tokens: number[];
}

/** Which logits are kept: rows by tokens after the prompt, and of a row every `stride`-th. */
export const kept: { n_new: number; steps: number[]; stride: number } = JSON.parse(
  readFileSync(join(folder, "about.json"), "utf8"),
).logits;

/** The records of a file, one a line. */
export function records<T>(name: string): T[] {
  const lines = readFileSync(join(folder, `${name}.jsonl`), "utf8")
    .trimEnd()
    .split("\n");
  return lines.map((line) => JSON.parse(line));
}

/** A file's tensors as float32, with their shapes. */
export function tensors(
  name: string,
): (tensor: string) => { shape: readonly number[]; values: Float32Array } {
  const file = decodeSafetensors(readFileSync(join(folder, `${name}.safetensors`)));
  return (tensor) => {
    const found = entryOf(file.tensors, tensor);
    return { shape: found.shape, values: found.float32() };
  };
}

/**
 * How far rows of logits are from those that are kept (`kept_logits` in greedy.py), each in parts of the bound: the
 * sample of the row, its best logits and its norm. 1 is as far as an engine may be.
 *
 * @param of reads the file's tensors
 * @param rows each [d_vocab]
 * @param bound relative L2 error of a row
 */
export function logitsError(
  of: ReturnType<typeof tensors>,
  name: string,
  rows: readonly Float32Array[],
  bound: number,
): number {
  const [sample, best] = [of(`${name}.sample`), of(`${name}.best`)];
  const [ids, norm] = [of(`${name}.best_ids`), of(`${name}.norm`)];
  const [n_rows = 0, n_best = 0] = best.shape;
  if (rows.length !== n_rows) throw new Error(`${name}: need ${n_rows} rows, found ${rows.length}`);
  const errors = rows.flatMap((row, k) => {
    const sampled = row.filter((_, id) => id % kept.stride === 0);
    const likeliest = ids.values.slice(k * n_best, (k + 1) * n_best);
    const got = likeliest.map((id) => itemAt(row, id));
    return [
      rowError(sample.values.subarray(k * sampled.length), sampled, 0, sampled.length),
      rowError(best.values.subarray(k * n_best), got, 0, n_best),
      rowError(norm.values.subarray(k), [normOf(row)], 0, 1),
    ].map(({ relative_error }) => relative_error / bound);
  });
  return Math.max(...errors);
}

/** |values| */
export function normOf(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

/** The bound of WASM in f32 for a row after a block; the logits' is that of `n_layers`. */
export const boundAt = (block: number): number => relativeBound("wasm", "auto", block);
