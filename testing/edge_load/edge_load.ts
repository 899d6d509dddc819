import { itemAt } from "../../models/certain.ts";
import { Random } from "../fuzz/mutate.ts";
import { type Metrics, MODEL, type RunningServer, startServer } from "./server.ts";
import { type Outcome, type Plan, planOf, runStream, wait } from "./stream.ts";

/**
 * Many streams at once on a server of its own process, some broken off, some read slowly, some refused for a full queue, some under
 * hooks. Each ends in one of these ways, a sample of their texts is what the same request gets alone, and nothing stays.
 */
export interface EdgeLoadOptions {
  streams: number;
  /** What `load` takes. */
  model: string;
  seed: number;
  /** `capstan` as a command. */
  command: readonly string[];
  on_progress?: (ended: number) => void;
}

export interface EdgeLoadReport {
  model: string;
  streams: number;
  seed: number;
  seconds: number;
  finished: number;
  /** Left by their clients. */
  aborted: number;
  /** Answered 429 with Retry-After. */
  refused: number;
  failed: number;
  /** Ended without an end or an error. */
  lost: number;
  /** Streams whose text was compared with the same request's alone, and what was wrong. */
  compared: number;
  crossed: string[];
  errors: string[];
  /** Milliseconds as the clients see them; between tokens where the reader does not pause. */
  first_token_ms: Spread | null;
  between_tokens_ms: Spread | null;
  /** Of the server, while the streams ran: bounds that so many looks at the clock were under; null for more than the highest. */
  event_loop_lag_ms: { p50: number | null; p99: number | null };
  /** The server's resident memory once the model is loaded and has answered, and after the streams. */
  memory_mb: { before: number; after: number };
  /** Sequences, and KV blocks beside the prefix cache's, at the end. */
  left: { sequences: number; blocks: number };
  /** Whether the server drained on SIGTERM. */
  drained: boolean;
}

interface Spread {
  p50: number;
  p99: number;
}

/** Of the streams, those that may wait. The rest is refused while the others run. */
const QUEUED = 0.75;
/** Streams whose text is compared with the same request's alone. */
const SAMPLE = 20;
const LAG = "capstan_event_loop_lag_seconds";

export async function edgeLoad(options: EdgeLoadOptions): Promise<EdgeLoadReport> {
  const { streams, model, seed, command } = options;
  const max_queue = Math.ceil(streams * QUEUED);
  const server = await startServer(command, {
    // The CPU's results are the same bits in any batch, so that a text alone can be compared.
    models: { [MODEL]: { source: model, device: "wasm", max_queue } },
    anonymous: { hooks: true },
  });
  let is_stopped = false;
  try {
    const random = new Random(seed);
    const hook = await makeHook(server);
    const plans = Array.from({ length: streams }, (_, n) => planOf(n, random, hook));
    const before = await server.metrics();
    const began = performance.now();
    const outcomes = await runAll(server.origin, plans, options.on_progress);
    const seconds = Math.round((performance.now() - began) / 100) / 10;
    const after = await settled(server);
    const { compared, crossed } = await compare(server.origin, outcomes);
    const { n_left } = await settled(server);
    is_stopped = true;
    return {
      ...{ model, streams, seed, seconds },
      ...counts(outcomes),
      ...{ compared, crossed },
      errors: outcomes.flatMap(({ plan, error }) => (error === undefined ? [] : [`${plan.n}: ${error}`])),
      first_token_ms: spread(outcomes.flatMap(({ first }) => first ?? [])),
      between_tokens_ms: spread(
        outcomes.flatMap(({ plan, between }) => (plan.fate === "slow" ? [] : between)),
      ),
      event_loop_lag_ms: { p50: lag(after, before, 0.5), p99: lag(after, before, 0.99) },
      memory_mb: { before: before.resident_mb, after: after.resident_mb },
      left: n_left,
      drained: await server.stop(),
    };
  } finally {
    if (!is_stopped) await server.stop();
  }
}

/** Whether all that has to hold did: a refusal and a client that leaves are no fault. */
export function isRight({ failed, lost, crossed, left, drained }: EdgeLoadReport): boolean {
  return failed + lost + crossed.length + left.sequences + left.blocks === 0 && drained;
}

/** A hook that changes what the model says, of its width. */
async function makeHook({ origin }: RunningServer): Promise<object> {
  const response = await fetch(`${origin}/v1/embeddings`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: MODEL, input: "How wide is it?" }),
  });
  const { data, capstan } = (await response.json()) as {
    data: { embedding: number[] }[];
    capstan: { site: string };
  };
  const vector = itemAt(data, 0).embedding.map(() => 0.5);
  return { kind: "add", site: capstan.site, vector, coefficient: 40 };
}

async function runAll(
  origin: string,
  plans: readonly Plan[],
  on_progress: (ended: number) => void = () => {},
): Promise<Outcome[]> {
  let ended = 0;
  return await Promise.all(
    plans.map(async (plan) => {
      await wait(plan.delay);
      const outcome = await runStream(origin, plan);
      on_progress(++ended);
      return outcome;
    }),
  );
}

/** Once nothing runs any more, or after a while that is long for a step. */
async function settled(server: RunningServer): Promise<Metrics> {
  for (let tries = 0; ; tries++) {
    const metrics = await server.metrics();
    const { sequences, blocks } = metrics.n_left;
    if (sequences + blocks === 0 || tries === 100) return metrics;
    await wait(50);
  }
}

/** Whether a sample of the replies is what the same requests get alone, and whether any holds what another stream asked. */
export async function compare(origin: string, outcomes: readonly Outcome[]) {
  const crossed: string[] = [];
  for (const { plan, text } of outcomes) {
    const found = outcomes.find(({ plan: { canary } }) => canary !== plan.canary && holds(text, canary));
    if (found !== undefined) crossed.push(`${plan.n}: has the text of ${found.plan.n}`);
  }
  const read = outcomes.filter(({ end, text }) => text !== "" && (end === "finished" || end === "left"));
  const step = Math.max(1, read.length / SAMPLE);
  const sample = read.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
  for (const { plan, end, text } of sample) {
    const alone = await runStream(origin, { ...plan, fate: "whole" });
    const is_same = end === "left" ? alone.text.startsWith(text) : alone.text === text;
    if (alone.end !== "finished" || !is_same)
      crossed.push(`${plan.n}: ${JSON.stringify(text)}, alone ${JSON.stringify(alone.text)} (${alone.end})`);
  }
  return { compared: sample.length, crossed };
}

/** "ABCDE-1" is not in "ABCDE-12". */
function holds(text: string, canary: string): boolean {
  const at = text.indexOf(canary);
  return at >= 0 && !/\d/.test(text[at + canary.length] ?? "");
}

function counts(outcomes: readonly Outcome[]) {
  const n = (end: Outcome["end"]) => outcomes.filter((one) => one.end === end).length;
  return {
    finished: n("finished"),
    aborted: n("left"),
    refused: n("refused"),
    failed: n("failed"),
    lost: n("lost"),
  };
}

function spread(values: readonly number[]): Spread | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  // Nearest rank.
  const at = (share: number) => Math.round(itemAt(sorted, Math.ceil(share * sorted.length) - 1) * 10) / 10;
  return { p50: at(0.5), p99: at(0.99) };
}

function lag(after: Metrics, before: Metrics, share: number): number | null {
  const seconds = after.quantile(LAG, share, before);
  return seconds === null || !Number.isFinite(seconds) ? null : seconds * 1000;
}
