import { Random } from "../conformance/contract/random.ts";
import { load } from "../sdk/inference/load.ts";
import type { Model } from "../sdk/types.ts";

/** The clock that lags are measured by: a fake one in tests. */
export interface Clock {
  /** Milliseconds. */
  now(): number;
  /** Calls back after so many milliseconds; gives a function that ends the wait. */
  after(ms: number, call: () => void): () => void;
}

/** How long what was due on a thread had to wait for its turn, in milliseconds. */
export interface Lag {
  p50: number;
  p99: number;
  max: number;
}

/** How often something is due while a lag is measured. */
const EVERY_MS = 5;
/** How long an idle loop is looked at. */
const IDLE_MS = 3000;

const CLOCK: Clock = {
  now: () => performance.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * How far the event loop of this thread lags behind while some work is done. Something is due every 5 ms, whether or
 * not the loop is free: what a thread is held up for counts for each time that something was due meanwhile, as it does
 * for requests, which come when they come. (Timers alone would see one long wait where some hundred requests did.)
 */
export async function measureLag(work: () => Promise<unknown>, clock: Clock = CLOCK): Promise<Lag> {
  const lags: number[] = [];
  let due = clock.now() + EVERY_MS;
  const see = () => {
    for (const now = clock.now(); due <= now; due += EVERY_MS) lags.push(now - due);
  };
  const tick = () => {
    see();
    end = clock.after(due - clock.now(), tick);
  };
  let end = clock.after(EVERY_MS, tick);
  try {
    await work();
  } finally {
    end();
    see();
  }
  return lagOf(lags);
}

function lagOf(lags: readonly number[]): Lag {
  const sorted = [...lags].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** Lags while a prompt is read, with the engine in a worker and on the thread itself. */
export interface EventLoop {
  n_prompt: number;
  /** While nothing is done: what the machine's other work costs. */
  idle: Lag;
  in_worker: Lag & { prompt_ms: number };
  on_thread: Lag & { prompt_ms: number };
  /** Why there was no worker after all; null where there was. */
  no_worker: string | null;
}

/** Loads a model in each way, one after the other, and reads a long prompt of random tokens with it. */
export async function measureEventLoop(
  folder: string,
  n_prompt: number,
  signal: AbortSignal,
): Promise<EventLoop> {
  const read = async (worker: boolean) => {
    await using model = await load(folder, { device: "wasm", n_ctx: 2048, worker, signal });
    // As in every measurement here, what the first tokens cost (compiling) is not counted.
    await model.forward(new Random(98).tokens(64, model.spec.d_vocab));
    const lag = await whileReading(model, n_prompt);
    return { lag, why: model.warnings.find((text) => text.includes("worker")) ?? null };
  };
  const idle = await measureLag(
    () => new Promise((resolve) => void CLOCK.after(IDLE_MS, () => resolve(null))),
  );
  const [in_worker, on_thread] = [await read(true), await read(false)];
  return { n_prompt, idle, in_worker: in_worker.lag, on_thread: on_thread.lag, no_worker: in_worker.why };
}

async function whileReading(model: Model, n_prompt: number): Promise<Lag & { prompt_ms: number }> {
  const prompt = new Random(99).tokens(n_prompt, model.spec.d_vocab);
  const start = performance.now();
  const lag = await measureLag(() => model.forward(prompt, { logits: "last" }));
  return { ...lag, prompt_ms: performance.now() - start };
}
