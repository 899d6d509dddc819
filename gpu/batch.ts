import type { SampleParams, StepEntry } from "../models/device.ts";
import { SITE_KINDS } from "../models/hooks.ts";
import type { Program } from "../models/program.ts";
import { ropeRowsByLength } from "../models/rope.ts";
import type { RopeSpec } from "../models/spec.ts";
import type { Accumulators } from "./accumulators.ts";
import { turnsOf } from "./buffers.ts";
import type { Cache } from "./cache.ts";
import { MAX_F32, NONE, UNIFORM_STRIDE } from "./constants.ts";
import type { HookStore } from "./hooks.ts";
import { uniform } from "./random.ts";
import { planResults, type ResultsPlan } from "./results.ts";

/** A step's words as `wgsl/step.ts` reads them, and the sizes that dispatches go by. */
export interface PackedBatch {
  /** The uniform record (first `UNIFORM_STRIDE` bytes), then the batch. */
  bytes: Uint8Array;
  results: ResultsPlan;
  n_rows: number;
  /** Rows whose logits are wanted. */
  n_gathered: number;
  /** First gathered row of each entry and how many. */
  gathered: { start: number; count: number }[];
  n_tiles: number;
  n_samples: number;
  n_sums: number;
}

export interface PackOptions {
  program: Program;
  cache: Cache;
  hooks: HookStore;
  accumulators: Accumulators;
  /** Ropes that depend on the length of calls. */
  ropes_by_length: readonly RopeSpec[];
  /** Rows of a sequence that a workgroup of attention takes at once. */
  tile: number;
  /** Where drawn tokens go, and where those of the step before lie: words of the results, by place in the batch. */
  drawn_to: number;
  drawn_from: number;
  /** Each entry's place in the batch that the caller gave (of which this may be a piece). */
  places: readonly number[];
}

/** Lays a batch out in words. Addresses inside it are words from the start of the batch. */
export function packBatch(batch: readonly StepEntry[], options: PackOptions): PackedBatch {
  const results = planResults(batch, options);
  const words = new Words();
  const n_rows = batch.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const rows_at = words.take(4 * n_rows);
  const entries_at = words.take(8 * batch.length);
  let row = 0;
  const gathered: { start: number; count: number }[] = [];
  const gathered_rows: number[] = [];
  const tiles: number[] = [];
  for (const [index, entry] of batch.entries()) {
    const n = entry.tokens.length;
    writeRows(words, rows_at + 4 * row, entry, index, options);
    writeEntry(words, entries_at + 8 * index, entry, row, results.entries[index]!, options);
    for (let first = 0; first < n; first += options.tile)
      tiles.push(row + first, Math.min(options.tile, n - first));
    const count = wantedRows(entry);
    gathered.push({ start: gathered_rows.length, count });
    for (let i = n - count; i < n; i++) gathered_rows.push(row + i);
    row += n;
  }
  const gathered_at = words.put(gathered_rows);
  const tiles_at = words.put(tiles);
  const samples = batch.flatMap(({ sample }, index) => (sample === null ? [] : [{ sample, index }]));
  const samples_at = words.take(20 * samples.length);
  for (const [i, { sample, index }] of samples.entries()) {
    const { start, count } = gathered[index]!;
    writeSample(
      words,
      samples_at + 20 * i,
      sample,
      batch[index]!,
      start + count - 1,
      index,
      results,
      options,
    );
  }
  const sums = writeSums(words, batch, results, options);
  const ropes_at = writeRopes(words, batch, options);
  const sizes = [n_rows, gathered_rows.length, batch.length];
  const addresses = [
    rows_at,
    entries_at,
    gathered_at,
    tiles_at,
    samples_at,
    sums.at,
    results.routes_at,
    ropes_at,
  ];
  return {
    bytes: words.bytes([...sizes, ...addresses]),
    results,
    n_rows,
    n_gathered: gathered_rows.length,
    gathered,
    n_tiles: tiles.length / 2,
    n_samples: samples.length,
    n_sums: sums.count,
  };
}

/** Rows of an entry whose logits are wanted: all, the last, or none. */
export function wantedRows({ logits, sample, tokens }: StepEntry): number {
  if (logits === "all") return tokens.length;
  return logits === "last" || sample !== null ? 1 : 0;
}

function writeRows(
  words: Words,
  at: number,
  entry: StepEntry,
  index: number,
  { drawn_from }: PackOptions,
): void {
  const { tokens, position, ends_call, follows } = entry;
  for (const [i, token] of tokens.entries()) {
    const named = follows === null ? token : 0x80000000 + drawn_from + follows;
    words.set(at + 4 * i, named, position + i, index, Number(ends_call && i === tokens.length - 1));
  }
}

function writeEntry(
  words: Words,
  at: number,
  entry: StepEntry,
  first_row: number,
  { taps, projections, flag }: ResultsPlan["entries"][number],
  { program, cache, hooks }: PackOptions,
): void {
  const set = entry.hooks === 0 ? undefined : hooks.get(entry.hooks);
  const blocks_at = words.put(entry.blocks.map((id) => cache.slot(id)));
  let taps_at = NONE;
  if (taps.size > 0) {
    taps_at = words.take(program.n_layers * SITE_KINDS.length, NONE);
    for (const [site, to] of taps) words.set(taps_at + site, to);
  }
  words.set(at, first_row, entry.tokens.length, set?.at ?? NONE, blocks_at, taps_at, projections, flag);
}

function writeSample(
  words: Words,
  at: number,
  sample: SampleParams,
  entry: StepEntry,
  row: number,
  index: number,
  results: ResultsPlan,
  { drawn_to, drawn_from, places }: PackOptions,
): void {
  const { out, saved, flag } = results.entries[index]!;
  const penalises = changesLogits(sample);
  const items = penalises || sample.logit_bias.length > 0 ? adjustments(sample) : [];
  const items_at = words.take(4 * items.length);
  for (const [i, { id, appeared, count, bias }] of items.entries()) {
    words.set(items_at + 4 * i, id, Number(appeared), count);
    words.float(items_at + 4 * i + 3, bias);
  }
  const { temperature, top_k, top_p, min_p, top_logprobs, seed, draw } = sample;
  const follows = penalises && entry.follows !== null ? drawn_from + entry.follows : NONE;
  words.set(at, row, drawn_to + places[index]!);
  words.float(at + 2, temperature === 0 ? 0 : Math.min(MAX_F32, 1 / temperature));
  words.set(at + 3, Math.min(top_k, 0x7fffffff));
  words.float(at + 4, top_p);
  words.float(at + 5, min_p);
  words.float(at + 6, uniform(seed, draw));
  words.set(at + 7, top_logprobs < 0 ? NONE : top_logprobs, items_at, items.length);
  words.float(at + 10, sample.repetition_penalty);
  words.float(at + 11, sample.frequency_penalty);
  words.float(at + 12, sample.presence_penalty);
  words.set(at + 13, out, follows, flag, saved);
}

function changesLogits(sample: SampleParams): boolean {
  return sample.repetition_penalty !== 1 || sample.frequency_penalty !== 0 || sample.presence_penalty !== 0;
}

/** Ids whose logits penalties or biases may change, once each. */
function adjustments(sample: SampleParams): { id: number; appeared: boolean; count: number; bias: number }[] {
  const items = new Map<number, { id: number; appeared: boolean; count: number; bias: number }>();
  const item = (id: number) => {
    const found = items.get(id) ?? { id, appeared: false, count: 0, bias: 0 };
    items.set(id, found);
    return found;
  };
  for (const [index, id] of (sample.history ?? []).entries()) {
    const found = item(id);
    found.appeared = true;
    if (index >= sample.n_prompt) found.count++;
  }
  for (const { id, bias } of sample.logit_bias) item(id).bias += bias;
  return [...items.values()];
}

/** Sums by accumulator and site, each with the spans of rows that go into it. */
function writeSums(
  words: Words,
  batch: readonly StepEntry[],
  results: ResultsPlan,
  { program: { d_model }, accumulators }: PackOptions,
): { at: number; count: number } {
  const items = new Map<number, number[]>();
  for (const [index, { accumulate }] of batch.entries()) {
    for (const { id, start, end } of accumulate) {
      const { sites, at } = accumulators.get(id)!;
      for (const [i, site] of sites.entries()) {
        const to = at + i * d_model;
        const spans = items.get(to) ?? [];
        items.set(to, spans);
        if (start < end) spans.push(results.entries[index]!.taps.get(site)! + start * d_model, end - start);
      }
    }
  }
  const at = words.take(3 * items.size);
  let item = at;
  for (const [to, spans] of items) {
    const spans_at = words.put(spans);
    words.set(item, to, spans_at, spans.length / 2);
    item += 3;
  }
  return { at, count: items.size };
}

/** Rows of the ropes that go by length, a table of all rows after the other. */
function writeRopes(words: Words, batch: readonly StepEntry[], { ropes_by_length }: PackOptions): number {
  const at = words.take(0);
  for (const rope of ropes_by_length) {
    for (const { position, rope_lengths } of batch) {
      words.put(new Uint32Array(turnsOf(ropeRowsByLength(rope, position, rope_lengths!)).buffer));
    }
  }
  return at;
}

/** Words that grow, with room for the uniform record before them. */
class Words {
  #words = new Uint32Array(1024);
  #floats = new Float32Array(this.#words.buffer);
  #length = 0;
  static readonly #HEAD = UNIFORM_STRIDE / 4;

  take(count: number, fill = 0): number {
    const at = this.#length;
    this.#length += count;
    const needed = Words.#HEAD + this.#length;
    if (needed > this.#words.length) {
      const larger = new Uint32Array(Math.max(needed, 2 * this.#words.length));
      larger.set(this.#words);
      this.#words = larger;
      this.#floats = new Float32Array(larger.buffer);
    }
    if (fill !== 0) this.#words.fill(fill, Words.#HEAD + at, Words.#HEAD + at + count);
    return at;
  }

  put(values: ArrayLike<number>): number {
    const at = this.take(values.length);
    this.#words.set(values, Words.#HEAD + at);
    return at;
  }

  set(at: number, ...values: number[]): void {
    this.#words.set(values, Words.#HEAD + at);
  }

  float(at: number, value: number): void {
    this.#floats[Words.#HEAD + at] = value;
  }

  bytes(head: readonly number[]): Uint8Array {
    this.#words.set(head);
    return new Uint8Array(this.#words.buffer, 0, 4 * (Words.#HEAD + Math.max(4, this.#length)));
  }
}
