import { abortedError, CapstanError } from "../../models/index.ts";
import { parseLines, toLine } from "./lines.ts";
import { checkContinues, type Manifest, parseManifest } from "./manifest.ts";
import { isResponse, isScore, type ResponseRecord, type ScoreRecord } from "./records.ts";
import { readShard, shardFile, writeShard } from "./shards.ts";
import { folderStore, memoryStore, type RunStore } from "./store.ts";

const MANIFEST = "manifest.json";
const RESPONSES = "responses.jsonl";
const SCORES = "scores.jsonl";

/** A response on its way into a run. `activation` is [n_layers * d_model]. */
export interface NewResponse {
  response: Omit<ResponseRecord, "activation">;
  activation: Float32Array;
}

/** Some responses of a run and their activations [responses.length, n_layers, d_model]. */
export interface ActivationBatch {
  responses: ResponseRecord[];
  data: Float32Array;
}

/**
 * A collection of responses, on disk or in memory. Activations are written before the lines that name them,
 * and lines carry checksums, so a kill at any instant loses at most the flush in flight: what has no line, or
 * a line whose shard is not whole, is simply not there and is made again.
 *
 * One process writes a run at a time; any number may read.
 */
export class Run {
  readonly manifest: Manifest;
  readonly #store: RunStore;
  readonly #responses: Map<string, ResponseRecord>;
  readonly #scores: Map<string, ScoreRecord>;
  #next_shard: number;

  private constructor(
    store: RunStore,
    manifest: Manifest,
    responses: readonly ResponseRecord[],
    scores: readonly ScoreRecord[],
    next_shard: number,
  ) {
    this.#store = store;
    this.manifest = manifest;
    this.#responses = new Map(responses.map((response) => [response.key, response]));
    this.#scores = new Map(scores.map((score) => [score.key, score]));
    this.#next_shard = next_shard;
  }

  /**
   * Begins a run or continues one; throws as `checkContinues` when it was begun otherwise. With `adopt`,
   * responses that stand there without a manifest, as another engine left them, become the run's.
   */
  static async start(
    out: string | RunStore | undefined,
    manifest: Manifest,
    { adopt = false }: { adopt?: boolean } = {},
  ): Promise<Run> {
    const store = storeOf(out);
    const bytes = await store.read(MANIFEST);
    if (bytes === undefined) {
      if (!adopt && (await store.size(RESPONSES)) !== undefined) throw lacksManifest(store);
      await store.write(MANIFEST, `${JSON.stringify(manifest, null, 2)}\n`);
    } else checkContinues(parseManifest(bytes, store.name), manifest, store.name);
    return await Run.#read(store, manifest, true);
  }

  /** Opens a run to read it. Throws `not_found` where there is none. */
  static async open(out: string | RunStore): Promise<Run> {
    const store = storeOf(out);
    const bytes = await store.read(MANIFEST);
    if (bytes === undefined) throw lacksManifest(store);
    return await Run.#read(store, parseManifest(bytes, store.name), false);
  }

  static async #read(store: RunStore, manifest: Manifest, mend: boolean): Promise<Run> {
    const responses = await readRecords(store, RESPONSES, isResponse, mend);
    const scores = await readRecords(store, SCORES, isScore, mend);
    // Past every shard that a line names, even a lost one: its lines must not come to name another's rows.
    const next = responses.reduce((next, { activation }) => Math.max(next, (activation?.shard ?? -1) + 1), 0);
    return new Run(store, manifest, await withoutLostShards(store, responses), scores, next);
  }

  /** Its folder, as messages name it. */
  get name(): string {
    return this.#store.name;
  }

  /** By key; the last line of a key counts. */
  get responses(): ReadonlyMap<string, ResponseRecord> {
    return this.#responses;
  }

  get scores(): ReadonlyMap<string, ScoreRecord> {
    return this.#scores;
  }

  /** Adds responses with their activations: the shard first, then the lines. One call at a time. */
  async add(batch: readonly NewResponse[]): Promise<void> {
    if (batch.length === 0) return;
    const { n_layers, d_model } = this.manifest;
    const data = new Float32Array(batch.length * n_layers * d_model);
    for (const [row, item] of batch.entries()) {
      if (item.activation.length !== n_layers * d_model) throw wrongActivation(item, n_layers, d_model);
      data.set(item.activation, row * n_layers * d_model);
    }
    const shard = this.#next_shard;
    const keys = batch.map((item) => item.response.key);
    const bytes = await writeShard(this.#store, shard, { keys, data }, this.manifest);
    this.#next_shard += 1;
    const records = batch.map((item, row) => ({ ...item.response, activation: { shard, row, bytes } }));
    await this.#store.append(RESPONSES, records.map(toLine).join("\n"));
    for (const record of records) this.#responses.set(record.key, record);
  }

  async addScores(scores: readonly ScoreRecord[]): Promise<void> {
    if (scores.length === 0) return;
    await this.#store.append(SCORES, scores.map(toLine).join("\n"));
    for (const score of scores) this.#scores.set(score.key, score);
  }

  /** Every response that has an activation, shard by shard: one shard in memory at a time. */
  async *activations(signal?: AbortSignal): AsyncGenerator<ActivationBatch> {
    const size = this.manifest.n_layers * this.manifest.d_model;
    for (const [shard, responses] of byShard(this.#responses.values())) {
      if (signal?.aborted) throw abortedError(`read ${this.name}`, signal);
      const { keys, data } = await readShard(this.#store, shard, this.manifest);
      const chosen = new Float32Array(responses.length * size);
      for (const [i, { key, activation }] of responses.entries()) {
        const row = activation!.row;
        if (keys[row] !== key) throw wrongShard(this.name, shard, key, keys[row]);
        chosen.set(data.subarray(row * size, (row + 1) * size), i * size);
      }
      yield { responses, data: chosen };
    }
  }
}

function storeOf(out: string | RunStore | undefined): RunStore {
  return out === undefined ? memoryStore() : typeof out === "string" ? folderStore(out) : out;
}

/** The whole records of a file; with `mend`, a file with damaged lines is written anew without them. */
async function readRecords<T extends object>(
  store: RunStore,
  file: string,
  isRecord: (value: unknown) => value is T,
  mend: boolean,
): Promise<T[]> {
  const bytes = await store.read(file);
  if (bytes === undefined) return [];
  const { records, damaged } = parseLines(bytes);
  const whole = records.filter(isRecord);
  if (mend && (damaged > 0 || whole.length < records.length)) {
    await store.write(file, whole.map((record) => `${toLine(record)}\n`).join(""));
  }
  return whole;
}

/** Responses whose shard is missing or cut short lose their activation, and so are made again. */
async function withoutLostShards(store: RunStore, responses: ResponseRecord[]): Promise<ResponseRecord[]> {
  const lost = new Set<number>();
  for (const [shard, [first]] of byShard(responses)) {
    if ((await store.size(shardFile(shard))) !== first!.activation!.bytes) lost.add(shard);
  }
  return responses.map((record) => {
    if (record.activation === undefined || !lost.has(record.activation.shard)) return record;
    const { activation: _, ...rest } = record;
    return rest;
  });
}

function byShard(responses: Iterable<ResponseRecord>): Map<number, ResponseRecord[]> {
  const shards = new Map<number, ResponseRecord[]>();
  for (const response of responses) {
    if (response.activation === undefined) continue;
    const list = shards.get(response.activation.shard);
    if (list === undefined) shards.set(response.activation.shard, [response]);
    else list.push(response);
  }
  return shards;
}

function lacksManifest(store: RunStore): CapstanError {
  const mend = "Collect into it first, or name the folder that `collect` wrote.";
  const parts = { action: `open run ${store.name}`, need: MANIFEST, found: "none", mend };
  return new CapstanError("not_found", parts);
}

function wrongActivation(item: NewResponse, n_layers: number, d_model: number): CapstanError {
  return new CapstanError("internal", {
    action: `keep response ${item.response.key}`,
    need: `an activation [${n_layers}, ${d_model}]`,
    found: `[${item.activation.length}]`,
  });
}

function wrongShard(name: string, shard: number, key: string, found: string | undefined): CapstanError {
  return new CapstanError("bad_file", {
    action: `read ${name}/${shardFile(shard)}`,
    need: `the activation of ${key}`,
    found: found === undefined ? "no such row" : `that of ${found}`,
    mend: "Remove the shard and collect again: what it held is made anew.",
  });
}
