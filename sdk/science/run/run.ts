import { entryOf, itemAt, lastOf, present } from "../../../models/certain.ts";
import { abortedError, CapstanError } from "../../../models/index.ts";
import {
  type Contents,
  dropShards,
  findFaults,
  namedShards,
  oddShards,
  type Place,
  RESPONSES,
  readContents,
  removeLeftovers,
  SCORES,
  type ShardFault,
  SKIPPED,
} from "./contents.ts";
import { readLines, toLine } from "./lines.ts";
import { checkContinues, keptLayers, type Manifest, parseManifest } from "./manifest.ts";
import {
  isResponse,
  type ResponseEntry,
  type ResponseRecord,
  type ScoreRecord,
  type SkippedRecord,
} from "./records.ts";
import { byShard, readShard, shardFile, writeShard } from "./shards.ts";
import { folderStore, memoryStore, type RunStore } from "./store.ts";

const MANIFEST = "manifest.json";

/** A response on its way into a run. `activation` is [n_kept_layers * d_model]. */
export interface NewResponse {
  response: Omit<ResponseRecord, "activation">;
  activation: Float32Array;
}

/** Some responses of a run and their activations [responses.length, n_layers, d_model]: zeros in layers not kept. */
export interface ActivationBatch {
  responses: ResponseEntry[];
  data: Float32Array;
}

export interface StartOptions {
  /** Responses that stand there without a manifest, as another engine left them, become the run's. Default: false. */
  adopt?: boolean;
  /** Shards looked at so far, of all that there are. */
  on_check?: (done: number, total: number) => void;
}

/**
 * A collection of responses, on disk or in memory. Activations are written before the lines that name them, and
 * lines and shards carry checksums, so a kill at any instant loses at most the flush in flight: what has no line, or
 * a line whose shard is not whole, is simply not there and is made again. In memory is an entry for each response,
 * its texts stay in the file.
 *
 * One process writes a run at a time, which a lock sees to; any number may read.
 */
export class Run implements AsyncDisposable {
  /** What was collected, and how. */
  readonly manifest: Manifest;
  /** What is odd about its files, a sentence each. */
  readonly warnings: string[];
  readonly #store: RunStore;
  readonly #contents: Contents;
  /** Shards that cannot be read. */
  #faults: ShardFault[] = [];
  #next_shard: number;
  #lock: AsyncDisposable | null = null;
  #judge: string | undefined;

  private constructor(store: RunStore, manifest: Manifest, contents: Contents) {
    this.#store = store;
    this.manifest = manifest;
    this.#contents = contents;
    this.warnings = contents.warnings;
    // Past every shard that a line names, even a lost one: its lines must not come to name another's rows.
    const shards = namedShards(contents.responses.values());
    this.#next_shard = shards.reduce((next, { shard }) => Math.max(next, shard + 1), 0);
  }

  /**
   * Begins a run or continues one, and keeps other writers out until `release`. Every shard is read and checked; those
   * that are damaged are dropped, so that their responses are made again (`warnings` names them).
   *
   * @throws CapstanError `bad_request` where another process is at work on it, or it was begun otherwise;
   *   `digest_mismatch` for another model; `bad_file`
   */
  static async start(
    out: string | RunStore | undefined,
    manifest: Manifest,
    { adopt = false, on_check = () => {} }: StartOptions = {},
  ): Promise<Run> {
    const store = storeOf(out);
    const lock = await store.lock();
    try {
      await prepare(store, manifest, adopt);
      await removeLeftovers(store);
      const run = new Run(store, manifest, await readContents(store, true));
      const { responses } = run.#contents;
      const shards = namedShards(responses.values());
      const faults = await findFaults(store, shards, true, (done) => on_check(done, shards.length));
      run.warnings.push(...(await dropShards(store, responses, faults)), ...(await oddShards(store, shards)));
      run.#lock = lock;
      return run;
    } catch (error) {
      await lock[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Opens a run to read it, or (`write`) to add to it, which keeps other writers out until `release`. Shards that are
   * missing or of another size are named in `warnings`, and `activations` throws.
   *
   * @throws CapstanError `not_found` where there is none, `bad_file`, `bad_request` where another process is at work on it
   */
  static async open(out: string | RunStore, { write = false }: { write?: boolean } = {}): Promise<Run> {
    const store = storeOf(out);
    const bytes = await store.read(MANIFEST);
    if (bytes === undefined) throw lacksManifest(store);
    const lock = write ? await store.lock() : null;
    try {
      if (write) await removeLeftovers(store);
      const run = new Run(store, parseManifest(bytes, store.name), await readContents(store, write));
      const shards = namedShards(run.responses.values());
      run.#noteFaults(await findFaults(store, shards, false));
      run.warnings.push(...(await oddShards(store, shards)));
      run.#lock = lock;
      return run;
    } catch (error) {
      await lock?.[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Its folder, as messages name it. */
  get name(): string {
    return this.#store.name;
  }

  /** By key, without texts: `response` and `read` give those. */
  get responses(): ReadonlyMap<string, ResponseEntry> {
    return this.#contents.responses;
  }

  /** The judge that this run was scored by last here, else the one that began last; undefined where none has. */
  get judge(): string | undefined {
    return this.#judge ?? this.judges.at(-1);
  }

  /** By key, of `judge` alone; `scoresOf` has another one's. */
  get scores(): ReadonlyMap<string, ScoreRecord> {
    return this.#contents.scores.of(this.judge ?? "");
  }

  /** Ids of the judges that scored it, in the order in which they first did. */
  get judges(): readonly string[] {
    return this.#contents.scores.judges;
  }

  /** By key, of one judge; empty where it scored nothing. */
  scoresOf(judge: string): ReadonlyMap<string, ScoreRecord> {
    return this.#contents.scores.of(judge);
  }

  /** Prompts that the model could not be given, and roles that were left out; those made later are not among them. */
  get skipped(): readonly SkippedRecord[] {
    const { skipped, responses } = this.#contents;
    const isLeft = ({ key, role }: SkippedRecord) =>
      key === undefined ? !Object.hasOwn(this.manifest.roles, role) : !responses.has(key);
    // The last line of a prompt counts.
    return [...new Map(skipped.filter(isLeft).map((one) => [one.key ?? `role ${one.role}`, one])).values()];
  }

  /** A response with its texts. Throws `bad_file` where its line is no longer what it was. */
  async response(key: string): Promise<ResponseRecord | undefined> {
    for await (const found of this.read([key])) return found;
    return undefined;
  }

  /** Responses with their texts, in the order they were written; those of some keys, by default all. */
  async *read(keys?: Iterable<string>): AsyncGenerator<ResponseRecord> {
    const { places, responses } = this.#contents;
    const wanted = [...(keys ?? responses.keys())].filter((key) => places.has(key));
    const sorted = wanted.map((key) => entryOf(places, key)).sort((a, b) => a.start - b.start);
    for (const stretch of stretchesOf(sorted)) {
      const starts = new Set(stretch.map(({ start }) => start));
      const bounds = { start: itemAt(stretch, 0).start, end: lastOf(stretch).end };
      for await (const { record, start } of readLines(this.#store, RESPONSES, bounds)) {
        if (!starts.has(start)) continue;
        if (record === undefined || !isResponse(record)) throw changedLine(this.name, start);
        // A lost shard takes its activation from the entry alone.
        const { activation: _, ...rest } = record;
        const entry = responses.get(record.key);
        yield entry?.activation === undefined ? rest : { ...rest, activation: entry.activation };
      }
    }
  }

  /** Adds responses with their activations: the shard first, then the lines. One call at a time. */
  async add(batch: readonly NewResponse[]): Promise<void> {
    if (batch.length === 0) return;
    const { d_model } = this.manifest;
    const n_kept = keptLayers(this.manifest).length;
    const data = new Float32Array(batch.length * n_kept * d_model);
    for (const [row, item] of batch.entries()) {
      if (item.activation.length !== n_kept * d_model) throw wrongActivation(item, n_kept, d_model);
      data.set(item.activation, row * n_kept * d_model);
    }
    await using _lock = await this.lock();
    const keys = batch.map((item) => item.response.key);
    const file = await writeShard(this.#store, this.#next_shard, { keys, data }, { n_kept, d_model });
    this.#next_shard += 1;
    const records = batch.map((item, row) => ({ ...item.response, activation: { ...file, row } }));
    const lines = records.map(toLine);
    let start = await this.#store.append(RESPONSES, lines.join("\n"));
    for (const [i, { messages: _, text: __, ...entry }] of records.entries()) {
      const end = start + new TextEncoder().encode(itemAt(lines, i)).length;
      this.#contents.responses.set(entry.key, entry);
      this.#contents.places.set(entry.key, { start, end });
      start = end + 1;
    }
  }

  /** Appends scores; one of a response that the same judge has scored before takes its place. */
  async addScores(scores: readonly ScoreRecord[]): Promise<void> {
    if (scores.length === 0) return;
    await using _lock = await this.lock();
    await this.#store.append(SCORES, scores.map(toLine).join("\n"));
    this.#contents.scores.add(scores);
  }

  /**
   * Ends a judge's work: puts the lines of the scores into the order of the responses, judge by judge. The file of a run
   * that was broken off and continued is then, byte for byte, that of an unbroken one, whichever answers came first.
   */
  async endJudging(judge: string): Promise<void> {
    this.#judge = judge;
    const ordered = this.#contents.scores.inOrder(this.responses.keys());
    if (ordered === undefined) return;
    await using _lock = await this.lock();
    await this.#store.write(SCORES, linesOf(ordered));
  }

  /** Notes what was skipped; what stands there already, for the same reason, is not written twice. */
  async addSkipped(skipped: readonly SkippedRecord[]): Promise<void> {
    const known = new Set(this.#contents.skipped.map((one) => toLine(one)));
    const fresh = skipped.filter((one) => !known.has(toLine(one)));
    if (fresh.length === 0) return;
    await using _lock = await this.lock();
    await this.#store.append(SKIPPED, fresh.map(toLine).join("\n"));
    this.#contents.skipped.push(...fresh);
  }

  /**
   * Keeps other writers out until it is disposed of; nothing more while this run holds the lock already. `add` and its
   * like take it for themselves where nobody has: hold it over work that must not be done twice.
   *
   * @throws CapstanError `bad_request` where another process is at work
   */
  async lock(): Promise<AsyncDisposable> {
    if (this.#lock !== null) return { [Symbol.asyncDispose]: async () => {} };
    this.#lock = await this.#store.lock();
    return { [Symbol.asyncDispose]: () => this.release() };
  }

  /** Lets other writers in. What is read stays readable. */
  async release(): Promise<void> {
    const lock = this.#lock;
    this.#lock = null;
    await lock?.[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** Reads every shard and checks its checksum. Throws the first one's error, which names it. */
  async verify(signal?: AbortSignal): Promise<void> {
    for (const file of namedShards(this.responses.values())) {
      if (signal?.aborted) throw abortedError(`read ${this.name}`, signal);
      this.#noteFaults(await findFaults(this.#store, [file], true));
      this.#refuseFaults();
    }
  }

  /**
   * Every response that has an activation, shard by shard: one shard in memory at a time.
   *
   * @throws CapstanError `bad_file` or `not_found` for a shard that is not as it was written; `aborted`
   */
  async *activations(signal?: AbortSignal): AsyncGenerator<ActivationBatch> {
    this.#refuseFaults();
    const { n_layers, d_model } = this.manifest;
    const kept = keptLayers(this.manifest);
    const size = n_layers * d_model;
    for (const [shard, responses] of byShard(this.responses.values())) {
      if (signal?.aborted) throw abortedError(`read ${this.name}`, signal);
      const file = present(itemAt(responses, 0).activation, "the place of an activation");
      const { keys, data } = await readShard(this.#store, file, { n_kept: kept.length, d_model });
      const chosen = new Float32Array(responses.length * size);
      for (const [i, { key, activation }] of responses.entries()) {
        const { row } = present(activation, "the place of an activation");
        if (keys[row] !== key) throw wrongShard(this.name, shard, key, keys[row]);
        for (const [k, layer] of kept.entries()) {
          const at = (row * kept.length + k) * d_model;
          chosen.set(data.subarray(at, at + d_model), i * size + layer * d_model);
        }
      }
      yield { responses, data: chosen };
    }
  }

  #noteFaults(faults: readonly ShardFault[]): void {
    const fresh = faults.filter(({ shard }) => !this.#faults.some((known) => known.shard === shard));
    this.#faults = [...this.#faults, ...fresh];
    this.warnings.push(...fresh.map(({ error }) => error.message));
  }

  #refuseFaults(): void {
    if (this.#faults.length > 0) throw itemAt(this.#faults, 0).error;
  }
}

async function* linesOf(records: Iterable<object>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for (const record of records) yield encoder.encode(`${toLine(record)}\n`);
}

function storeOf(out: string | RunStore | undefined): RunStore {
  return out === undefined ? memoryStore() : typeof out === "string" ? folderStore(out) : out;
}

/** Sees to it that the run's manifest is the wanted one: writes it, adds roles to it, or refuses. */
async function prepare(store: RunStore, manifest: Manifest, adopt: boolean): Promise<void> {
  const bytes = await store.read(MANIFEST);
  if (bytes === undefined) {
    if (!adopt && (await store.size(RESPONSES)) !== undefined) throw lacksManifest(store);
    await store.write(MANIFEST, `${JSON.stringify(manifest, null, 2)}\n`);
    return;
  }
  const found = parseManifest(bytes, store.name);
  checkContinues(found, manifest, store.name);
  const judge_prompts = { ...found.judge_prompts, ...manifest.judge_prompts };
  const prompts = Object.keys(judge_prompts).length === 0 ? {} : { judge_prompts };
  const grown = { ...found, roles: manifest.roles, ...prompts };
  if (JSON.stringify(grown) === JSON.stringify(found)) return;
  await store.write(MANIFEST, `${JSON.stringify(grown, null, 2)}\n`);
}

/** Most bytes of lines to read for some of them. */
const STRETCH = 2 ** 22;

/** Lines in order, joined to stretches that are read at once. */
function* stretchesOf(sorted: readonly Place[]): Generator<Place[]> {
  let stretch: Place[] = [];
  for (const place of sorted) {
    if (stretch.length > 0 && place.end - itemAt(stretch, 0).start > STRETCH) {
      yield stretch;
      stretch = [];
    }
    stretch.push(place);
  }
  if (stretch.length > 0) yield stretch;
}

function lacksManifest(store: RunStore): CapstanError {
  const fix = "`capstan collect --out RUN` writes one: name its folder.";
  const parts = { action: `open run ${store.name}`, need: MANIFEST, found: "none", fix };
  return new CapstanError("not_found", parts);
}

function wrongActivation(item: NewResponse, n_kept: number, d_model: number): CapstanError {
  return new CapstanError("internal", {
    action: `keep response ${item.response.key}`,
    need: `an activation [${n_kept}, ${d_model}]`,
    found: `[${item.activation.length}]`,
  });
}

function changedLine(name: string, start: number): CapstanError {
  const need = `the whole line of a response at byte ${start}`;
  return new CapstanError("bad_file", { action: `read ${name}/${RESPONSES}`, need, found: "a damaged one" });
}

function wrongShard(name: string, shard: number, key: string, found: string | undefined): CapstanError {
  return new CapstanError("bad_file", {
    action: `read ${name}/${shardFile(shard)}`,
    need: `the activation of ${key}`,
    found: found === undefined ? "no such row" : `that of ${found}`,
    fix: "Remove the shard and collect again: what it held is made again.",
  });
}
