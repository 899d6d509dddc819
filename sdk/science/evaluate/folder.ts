import { CapstanError } from "../../../models/index.ts";
import { removeLeftovers } from "../run/contents.ts";
import { Gathering } from "../run/gathering.ts";
import { readLines, toLine } from "../run/lines.ts";
import { folderStore, memoryStore, type RunStore } from "../run/store.ts";
import { continued, type EvaluationManifest, parseEvaluation } from "./manifest.ts";
import {
  isJudgement,
  isReply,
  type JudgementRecord,
  judgementKey,
  keyOf,
  type ReplyRecord,
} from "./records.ts";

const MANIFEST = "evaluation.json";
const REPLIES = "replies.jsonl";
const JUDGEMENTS = "judgements.jsonl";
const SUMMARY = "summary.json";

/**
 * The replies of an evaluation and what judges said of them, on disk or in memory. Lines are appended as they come,
 * with checksums: a kill loses what was in flight and nothing else. `finish` puts them in the order of the plan, so
 * that an evaluation has the same bytes however often it was interrupted.
 */
export class EvaluationFolder implements AsyncDisposable {
  /** What is odd about its files, a sentence each. */
  readonly warnings: readonly string[];
  readonly replies: Map<string, ReplyRecord>;
  readonly judgements: Map<string, JudgementRecord>;
  readonly #store: RunStore;
  readonly #lock: AsyncDisposable;
  readonly #reply_lines: Gathering<ReplyRecord>;
  readonly #judgement_lines: Gathering<JudgementRecord>;

  private constructor(store: RunStore, lock: AsyncDisposable, { replies, judgements, warnings }: Begun) {
    this.warnings = warnings;
    this.#store = store;
    this.#lock = lock;
    this.replies = new Map(replies.map((record) => [keyOf(record), record]));
    this.judgements = new Map(judgements.map((record) => [judgementKey(record), record]));
    this.#reply_lines = appender(store, REPLIES);
    this.#judgement_lines = appender(store, JUDGEMENTS);
  }

  /**
   * Begins an evaluation or continues one. No other process writes to the folder until it is disposed of.
   *
   * @throws CapstanError as `continued` does; `bad_file`; `bad_request` where another process writes to it
   */
  static async start(
    out: string | RunStore | undefined,
    manifest: EvaluationManifest,
  ): Promise<EvaluationFolder> {
    const store = out === undefined ? memoryStore() : typeof out === "string" ? folderStore(out) : out;
    const lock = await store.lock();
    try {
      await removeLeftovers(store);
      return new EvaluationFolder(store, lock, await begin(store, manifest));
    } catch (error) {
      await lock[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lock[Symbol.asyncDispose]();
  }

  async addReply(record: ReplyRecord): Promise<void> {
    await this.#reply_lines.add([record]);
    this.replies.set(keyOf(record), record);
  }

  async addJudgement(record: JudgementRecord): Promise<void> {
    await this.#judgement_lines.add([record]);
    this.judgements.set(judgementKey(record), record);
  }

  /** Writes the files in the order of the plan, what it does not name after it, and the summary. */
  async finish(planned: readonly ReplyRecord[], summary: object): Promise<void> {
    for (const record of planned) this.replies.set(keyOf(record), record);
    const rank = new Map(planned.map((record, i) => [keyOf(record), i]));
    const rankOf = (record: ReplyRecord | JudgementRecord) => rank.get(keyOf(record)) ?? planned.length;
    const replies = [...this.replies.values()].sort((a, b) => rankOf(a) - rankOf(b));
    await this.#replace(REPLIES, replies);
    const judgements = [...this.judgements.values()].sort((a, b) => {
      return rankOf(a) - rankOf(b) || a.check - b.check || (a.judge < b.judge ? -1 : 1);
    });
    if (judgements.length > 0) await this.#replace(JUDGEMENTS, judgements);
    await this.#replaceText(SUMMARY, `${JSON.stringify(summary, null, 2)}\n`);
  }

  async #replace(file: string, records: readonly object[]): Promise<void> {
    await this.#replaceText(file, records.map((record) => `${toLine(record)}\n`).join(""));
  }

  async #replaceText(file: string, text: string): Promise<void> {
    const before = await this.#store.read(file);
    if (before === undefined || new TextDecoder().decode(before) !== text)
      await this.#store.write(file, text);
  }
}

interface Begun {
  replies: ReplyRecord[];
  judgements: JudgementRecord[];
  warnings: string[];
}

/** What a folder holds of an evaluation; its manifest is there afterwards. */
async function begin(store: RunStore, manifest: EvaluationManifest): Promise<Begun> {
  const bytes = await store.read(MANIFEST);
  if (bytes === undefined && (await store.size(REPLIES)) !== undefined) throw lacksManifest(store);
  const whole =
    bytes === undefined ? manifest : continued(parseEvaluation(bytes, store.name), manifest, store.name);
  const text = `${JSON.stringify(whole, null, 2)}\n`;
  if (bytes === undefined || new TextDecoder().decode(bytes) !== text) await store.write(MANIFEST, text);
  const warnings: string[] = [];
  const replies = await readWhole(store, REPLIES, isReply, warnings);
  return { replies, judgements: await readWhole(store, JUDGEMENTS, isJudgement, warnings), warnings };
}

/** Appends records to a file as lines with checksums. */
function appender<T extends object>(store: RunStore, file: string): Gathering<T> {
  return new Gathering((records) => store.append(file, records.map(toLine).join("\n")));
}

/**
 * The whole records of a file. What was cut by a kill stays as a line that nobody reads until `finish`; other damage is said.
 */
async function readWhole<T extends object>(
  store: RunStore,
  file: string,
  isRecord: (value: unknown) => value is T,
  warnings: string[],
): Promise<T[]> {
  const records: T[] = [];
  const size = await store.size(file);
  let damaged = 0;
  for await (const { record, end } of readLines(store, file)) {
    if (record !== undefined && isRecord(record)) records.push(record);
    else if (end !== size) damaged += 1;
  }
  if (damaged > 0) {
    const lines = damaged === 1 ? "1 damaged line" : `${damaged} damaged lines`;
    warnings.push(`${store.name}/${file} has ${lines}: left out; what was there is made again.`);
  }
  return records;
}

function lacksManifest(store: RunStore): CapstanError {
  const fix = "Give another folder: nobody can say which model these replies are of.";
  const parts = { action: `continue ${store.name}`, need: MANIFEST, found: `${REPLIES} without it`, fix };
  return new CapstanError("not_found", parts);
}
