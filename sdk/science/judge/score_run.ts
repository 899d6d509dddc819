import { eachOf } from "../../pool.ts";
import type { ResponseRecord, ScoreRecord } from "../../run/records.ts";
import type { Run } from "../../run/run.ts";
import { type OnProgress, ProgressMeter } from "../progress.ts";
import { DEFAULT_ROLE } from "../roles.ts";
import { type Judge, type Score, scoreOf } from "./judge.ts";

/** Refusals before anything is scored that show the judge to be at fault, and not the responses. */
const MOST_REFUSALS = 3;

/** Responses of a run that need a score, keys of those that this judge has not scored, and their roles. */
export function toJudge(run: Run, judge: Judge): { total: number; missing: string[]; roles: string[] } {
  const known = run.scoresOf(judge.id);
  const missing: string[] = [];
  const roles = new Set<string>();
  let total = 0;
  for (const { key, role } of run.responses.values()) {
    if (role === DEFAULT_ROLE) continue;
    total += 1;
    const score = known.get(key);
    if (score !== undefined && score.prompt === judge.promptOf?.(role)) continue;
    missing.push(key);
    roles.add(role);
  }
  return { total, missing, roles: [...roles] };
}

/**
 * Scores every response that this judge has not scored. Scores are kept as they come, in whatever order, so that a kill
 * costs those in flight; once all are there, they are put in the order of the responses.
 *
 * @throws CapstanError `judge`, `network`, `access_denied`, `aborted`: what was scored is kept
 */
export async function scoreRun(
  run: Run,
  judge: Judge,
  options: { signal?: AbortSignal | undefined; on_progress?: OnProgress | undefined },
): Promise<void> {
  const { total, missing, roles } = toJudge(run, judge);
  if (missing.length > 0) {
    judge.checkRoles?.(roles);
    const meter = new ProgressMeter("judge", total, total - missing.length, options.on_progress);
    const keeper = new Keeper(run);
    const refusals = new Refusals(run.scoresOf(judge.id).size > 0);
    const work = async (response: ResponseRecord, signal: AbortSignal) => {
      const score = await scoreOf(judge, response, signal);
      for (const record of refusals.sift(recordOf(judge, response, score), score.refusal)) keeper.add(record);
      meter.item(0, response.role);
      await keeper.keepPace();
    };
    try {
      await eachOf(run.read(missing), work, {
        concurrency: judge.concurrency ?? 1,
        action: "judge responses",
        signal: options.signal,
      });
      refusals.end();
    } finally {
      await keeper.flush();
    }
  }
  await run.endJudging(judge.id);
}

function recordOf(judge: Judge, { key, role }: ResponseRecord, found: Score): ScoreRecord {
  const { score, level, reply, error } = found;
  const prompt = judge.promptOf?.(role);
  return {
    key,
    judge: judge.id,
    score,
    ...(level === undefined ? {} : { level }),
    ...(prompt === undefined ? {} : { prompt }),
    ...(reply === undefined ? {} : { reply }),
    ...(error === undefined ? {} : { error }),
  };
}

/** Gathered records at which the next answer waits for the disk. */
const MOST_PENDING = 1024;

/** Writes records as they come: while one write is under way, what comes is gathered for the next. */
class Keeper {
  readonly #run: Run;
  #pending: ScoreRecord[] = [];
  #writing: Promise<void> | undefined;
  #failure: unknown;

  constructor(run: Run) {
    this.#run = run;
  }

  add(record: ScoreRecord): void {
    this.#pending.push(record);
    this.#writing ??= this.#write();
  }

  /** Waits where much has been gathered (a fast judge must not run ahead of the disk). Throws what a write threw. */
  async keepPace(): Promise<void> {
    if (this.#failure === undefined && this.#pending.length < MOST_PENDING) return;
    await this.flush();
  }

  async flush(): Promise<void> {
    await this.#writing;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #write(): Promise<void> {
    // What else comes in this turn of the event loop goes along.
    await Promise.resolve();
    try {
      while (this.#pending.length > 0) {
        const batch = this.#pending;
        this.#pending = [];
        await this.#run.addScores(batch);
      }
    } catch (error) {
      this.#failure = error;
    }
    this.#writing = undefined;
  }
}

/**
 * Holds back the records of refusals until some response is scored: then they are the responses' own. Where the first
 * ones are all refused, the judge is at fault, and the error is thrown instead.
 */
class Refusals {
  #proven: boolean;
  #held: { record: ScoreRecord; refusal: Error }[] = [];

  constructor(proven: boolean) {
    this.#proven = proven;
  }

  /** The records to keep now. */
  sift(record: ScoreRecord, refusal: Error | undefined): ScoreRecord[] {
    if (refusal === undefined) {
      const held = this.#held.map((one) => one.record);
      this.#proven = true;
      this.#held = [];
      return [...held, record];
    }
    if (this.#proven) return [record];
    this.#held.push({ record, refusal });
    if (this.#held.length >= MOST_REFUSALS) throw this.#held[0]!.refusal;
    return [];
  }

  /** Nothing was scored at all. */
  end(): void {
    if (this.#held.length > 0) throw this.#held[0]!.refusal;
  }
}
