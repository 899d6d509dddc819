import { eachOf } from "../../common/pool.ts";
import { type OnProgress, ProgressMeter } from "../progress.ts";
import { DEFAULT_ROLE } from "../recipe/default_role.ts";
import { Gathering } from "../run/gathering.ts";
import type { ResponseRecord, ScoreRecord } from "../run/records.ts";
import type { Run } from "../run/run.ts";
import { type Judge, type Score, scoreOf } from "./judge.ts";

/** Refusals before anything is scored that show the judge to be at fault, and not the responses. */
const MOST_REFUSALS = 3;

/** Keys of a run's responses that need a score, of those that this judge has not scored, and the roles of these. */
export function toJudge(run: Run, judge: Judge): { keys: string[]; missing: string[]; roles: string[] } {
  const known = run.scoresOf(judge.id);
  const keys: string[] = [];
  const missing: string[] = [];
  const roles = new Set<string>();
  for (const { key, role } of run.responses.values()) {
    if (role === DEFAULT_ROLE) continue;
    keys.push(key);
    const score = known.get(key);
    if (score !== undefined && score.prompt === judge.promptOf?.(role)) continue;
    missing.push(key);
    roles.add(role);
  }
  return { keys, missing, roles: [...roles] };
}

/**
 * Scores every response that this judge has not scored. Scores are kept as they come, in whatever order, so that a kill
 * costs an endpoint's requests in flight and no more; once all are there, they are put in the order of the responses.
 *
 * @throws CapstanError `judge`, `network`, `access_denied`, `aborted`: what was scored is kept
 */
export async function scoreRun(
  run: Run,
  judge: Judge,
  options: { signal?: AbortSignal | undefined; on_progress?: OnProgress | undefined },
): Promise<void> {
  const { keys, missing, roles } = toJudge(run, judge);
  const total = keys.length;
  if (missing.length > 0) {
    judge.checkRoles?.(roles);
    judge.checkKeys?.(keys);
    const concurrency = judge.concurrency ?? 1;
    const done = total - missing.length;
    const meter = new ProgressMeter("judge", total, done, options.on_progress, concurrency);
    const keeper = new Gathering<ScoreRecord>((records) => run.addScores(records));
    const refusals = new Refusals(run.scoresOf(judge.id).size > 0);
    const work = async (response: ResponseRecord, signal: AbortSignal) => {
      const score = await scoreOf(judge, response, signal);
      const kept = keeper.add(refusals.sift(recordOf(judge, response, score), score.refusal));
      // An endpoint's answers are paid for: its next request waits until this answer cannot be lost.
      if (judge.concurrency !== undefined || keeper.under_way >= MOST_UNDER_WAY) await kept;
      meter.item(0, response.role);
    };
    try {
      await eachOf(run.read(missing), work, {
        concurrency,
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

/** Records under way to the disk at which a judge that costs nothing waits for them. */
const MOST_UNDER_WAY = 1024;

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
