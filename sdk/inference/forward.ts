import { itemAt } from "../../models/certain.ts";
import { CapstanError, expandSites, isObject, type Site, siteId } from "../../models/index.ts";
import * as rules from "../common/options.ts";
import { type Rules, readOptions } from "../common/options.ts";
import { readTokenIds } from "../common/token_ids.ts";
import type { ForwardOptions, ForwardResult, IntegerArray, Model, SessionForwardOptions } from "../types.ts";
import type { Runtime } from "./runtime.ts";
import type { Sequence } from "./scheduler/sequence.ts";
import type { Call, CallResult, Task } from "./scheduler/task.ts";

/** A forward call as it was asked for: checked, and with nothing left that the caller could change. */
export interface ForwardRequest {
  tokens: Int32Array;
  sites: Site[];
  mean_sites: Site[];
  spans: { start: number; end: number }[];
  logits: "none" | "last" | "all";
  queue: Task["queue"];
  client: string;
  signal: AbortSignal | undefined;
}

/** @throws CapstanError `bad_request`, `bad_hook` */
export function readForward(
  model: Model,
  tokens: IntegerArray,
  given: SessionForwardOptions | undefined,
): ForwardRequest {
  const options = readOptions("forward", given, OPTIONS);
  const mean = readOptions("forward: mean", options.mean, MEAN);
  const ids = readTokenIds(model, tokens);
  return {
    tokens: ids,
    sites: expandSites(model.spec, options.capture ?? []),
    mean_sites: expandSites(model.spec, mean.sites ?? []),
    spans: checkSpans(mean.spans ?? [], ids.length),
    logits: options.logits ?? "last",
    queue: options.queue ?? "wait",
    client: options.client ?? "",
    signal: options.signal,
  };
}

const OPTIONS: Rules<SessionForwardOptions> = {
  capture: rules.texts,
  mean: rules.record,
  logits: rules.oneOf("none", "last", "all"),
  ...rules.QUEUE,
  signal: rules.signal,
};
const MEAN: Rules<NonNullable<ForwardOptions["mean"]>> = { sites: rules.texts, spans: rules.list };

/** One forward call of a sequence: submits it and puts its results under their names. */
export async function runForward(
  model: Model,
  runtime: Runtime,
  sequence: Sequence,
  request: ForwardRequest,
): Promise<ForwardResult> {
  const { tokens, sites, mean_sites, spans, logits } = request;
  const past = sequence.n_tokens;
  const accumulators = spans.map(() =>
    runtime.addAccumulator(mean_sites.map((site) => siteId(model.spec, site))),
  );
  try {
    const call: Call = {
      tokens,
      sample: null,
      logits,
      captures: sites.map((site) => siteId(model.spec, site)),
      accumulate: spans.map((span, index) => ({ id: itemAt(accumulators, index), ...span })),
      reads_all: sites.length + spans.length > 0 || logits === "all",
      projects_all: true,
    };
    const result = await runCall(runtime, sequence, call, request);
    return {
      captures: byName(sites, (index) => itemAt(result.captures, index)),
      means: await Promise.all(
        accumulators.map((id) => meansOf(runtime, id, mean_sites, model.spec.d_model)),
      ),
      logits: result.logits,
      projections: byName(sequence.hooks.plan.projection_names, (index) => itemAt(result.projections, index)),
    };
  } catch (error) {
    // A call that failed half-way leaves the sequence as it was before.
    sequence.truncate(past);
    throw error;
  } finally {
    for (const id of accumulators) runtime.freeAccumulator(id);
  }
}

/** The means of an accumulator by site, each [d_model]. */
export async function meansOf(
  runtime: Runtime,
  id: number,
  sites: readonly Site[],
  d_model: number,
): Promise<Record<Site, Float32Array>> {
  const { mean } = await runtime.readAccumulator(id);
  return byName(sites, (index) => mean.slice(index * d_model, (index + 1) * d_model));
}

function byName<K extends string, V>(names: readonly K[], value: (index: number) => V): Record<K, V> {
  return Object.fromEntries(names.map((name, index) => [name, value(index)])) as Record<K, V>;
}

function runCall(
  { scheduler }: Runtime,
  sequence: Sequence,
  call: Call,
  { signal, queue, client }: ForwardRequest,
): Promise<CallResult> {
  return new Promise((resolve, reject) => {
    let done: CallResult | undefined;
    const task: Task = {
      sequence,
      first: call,
      max_tokens: sequence.n_tokens + call.tokens.length,
      signal,
      queue,
      client,
      next: (result) => {
        done = result;
        return null;
      },
      ahead: () => "ends",
      ended: (error) => (done === undefined ? reject(error) : resolve(done)),
    };
    scheduler.submit(task);
  });
}

function checkSpans(
  spans: readonly { start: number; end: number }[],
  n_tokens: number,
): { start: number; end: number }[] {
  return spans.map((span) => {
    const { start, end } = isObject(span) ? span : { start: Number.NaN, end: Number.NaN };
    if (Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start <= end && end <= n_tokens) {
      return { start, end };
    }
    throw new CapstanError("bad_request", {
      action: "take a mean over a span",
      need: `0 <= start <= end <= ${n_tokens}`,
      found: `{ start: ${start}, end: ${end} }`,
    });
  });
}
