import { abortedError } from "../../models/index.ts";

/** Replies in flight at once unless the caller says: batches of this size keep the engine's matrices busy. */
export const IN_FLIGHT = 64;

export interface PoolOptions {
  /** Items at work at once. */
  concurrency: number;
  /** What an abort's error says was being done. */
  action: string;
  signal?: AbortSignal | undefined;
}

/**
 * Runs `work` over items, some at a time, in order of start. The first failure, or an abort, stops new starts
 * and aborts those at work; the promise settles only when every one has come to rest.
 *
 * @throws what the first failing item threw; CapstanError `aborted`
 */
export async function eachOf<T>(
  items: Iterable<T> | AsyncIterable<T>,
  work: (item: T, signal: AbortSignal, index: number) => Promise<void>,
  options: PoolOptions,
): Promise<void> {
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, options.signal]);
  const failures: unknown[] = [];
  const source = Symbol.iterator in items ? items[Symbol.iterator]() : items[Symbol.asyncIterator]();
  let started = 0;
  const worker = async () => {
    while (!signal.aborted) {
      try {
        const next = source.next();
        const { done, value } = next instanceof Promise ? await next : next;
        if (done || signal.aborted) return;
        await work(value, signal, started++);
      } catch (error) {
        failures.push(error);
        stop.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, worker));
  if (options.signal?.aborted) throw abortedError(options.action, options.signal);
  if (failures.length > 0) throw failures[0];
}
