import { eachOf, IN_FLIGHT } from "../../common/pool.ts";
import { type OnProgress, ProgressMeter } from "../progress.ts";
import type { SkippedRecord } from "../run/records.ts";
import type { NewResponse, Run } from "../run/run.ts";

/** Responses in a shard of activations: what a kill can cost at most. */
export const FLUSH = 64;
/** How long a finished response may be in memory alone, in milliseconds. */
export const FLUSH_MS = 60_000;

/** What became of an item: a response, or the reason why there is none. */
export type Made = NewResponse | { skipped: SkippedRecord };

export interface KeepOptions<T> {
  items: Iterable<T> | AsyncIterable<T>;
  /** Items of the run, and those of them that were done before. */
  total: number;
  done: number;
  make: (item: T, signal: AbortSignal) => Promise<Made>;
  concurrency?: number | undefined;
  signal?: AbortSignal | undefined;
  on_progress?: OnProgress | undefined;
}

/**
 * Makes responses some at a time and keeps them in the run: whenever there are enough for a shard, when one has waited
 * for a minute, and at the end, however that comes.
 */
export async function keepAll<T extends { role: string }>(run: Run, options: KeepOptions<T>): Promise<void> {
  const { concurrency = IN_FLIGHT, signal, total, done, on_progress } = options;
  const meter = new ProgressMeter("collect", total, done, on_progress, concurrency);
  const writer = new Writer(run);
  const work = async (item: T, signal: AbortSignal) => {
    const made = await options.make(item, AbortSignal.any([signal, writer.failed.signal]));
    meter.item("skipped" in made ? 0 : made.response.tokens, item.role);
    await writer.take(made);
  };
  try {
    await eachOf(options.items, work, { concurrency, action: "collect", signal });
  } catch (error) {
    // What was made is kept where that is possible; the first error is the one to show.
    await writer.flush().catch(() => {});
    throw writer.failed.signal.aborted ? writer.failed.signal.reason : error;
  }
  await writer.flush();
}

/** Writes to a run, a flush at a time. */
class Writer {
  /** Aborted, with the error as its reason, when a flush that nobody waits for has failed. */
  readonly failed = new AbortController();
  readonly #run: Run;
  #responses: NewResponse[] = [];
  #skipped: SkippedRecord[] = [];
  #writing: Promise<void> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(run: Run) {
    this.#run = run;
  }

  async take(made: Made): Promise<void> {
    if ("skipped" in made) this.#skipped.push(made.skipped);
    else this.#responses.push(made);
    if (this.#responses.length + this.#skipped.length >= FLUSH) await this.flush();
    else
      this.#timer ??= setTimeout(() => {
        this.flush().catch((error: unknown) => this.failed.abort(error));
      }, FLUSH_MS);
  }

  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const [responses, skipped] = [this.#responses, this.#skipped];
    [this.#responses, this.#skipped] = [[], []];
    this.#writing = this.#writing.then(async () => {
      await this.#run.add(responses);
      await this.#run.addSkipped(skipped);
    });
    return this.#writing;
  }
}
