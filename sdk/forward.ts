import { CapstanError, expandSites, type Site, siteId } from "../models/index.ts";
import { checkTokens } from "./prompt.ts";
import { type Runtime, runtimeOf } from "./runtime.ts";
import type { Sequence } from "./scheduler/sequence.ts";
import type { Call, CallResult, Task } from "./scheduler/task.ts";
import type { ForwardOptions, ForwardResult, Model } from "./types.ts";

/** One forward call of a sequence: submits it and puts its results under their names. */
export async function forwardSequence(
  model: Model,
  sequence: Sequence,
  tokens: ArrayLike<number>,
  options: Omit<ForwardOptions, "hooks">,
): Promise<ForwardResult> {
  const runtime = runtimeOf(model);
  const ids = checkTokens(model, tokens);
  const sites = expandSites(model.spec, options.capture ?? []);
  const mean_sites = expandSites(model.spec, options.mean?.sites ?? []);
  const spans = checkSpans(options.mean?.spans ?? [], ids.length);
  const logits = options.logits ?? "last";
  if (!["none", "last", "all"].includes(logits)) {
    throw new CapstanError("bad_request", {
      action: "forward",
      need: "logits none, last or all",
      found: String(logits),
    });
  }
  const past = sequence.n_tokens;
  const accumulators = spans.map(() =>
    runtime.addAccumulator(mean_sites.map((site) => siteId(model.spec, site))),
  );
  try {
    const call: Call = {
      tokens: ids,
      sample: null,
      logits,
      captures: sites.map((site) => siteId(model.spec, site)),
      accumulate: spans.map((span, index) => ({ id: accumulators[index]!, ...span })),
      reads_all:
        sites.length + spans.length > 0 ||
        logits === "all" ||
        sequence.hooks.plan.projection_names.length > 0,
    };
    const result = await runCall(runtime, sequence, call, options.signal);
    return {
      captures: byName(sites, (index) => result.captures[index]!),
      means: await Promise.all(
        accumulators.map((id) => meansOf(runtime, id, mean_sites, model.spec.d_model)),
      ),
      logits: result.logits,
      projections: byName(sequence.hooks.plan.projection_names, (index) => result.projections[index]!),
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
  signal: AbortSignal | undefined,
): Promise<CallResult> {
  return new Promise((resolve, reject) => {
    let done: CallResult | undefined;
    const task: Task = {
      sequence,
      first: call,
      max_tokens: sequence.n_tokens + call.tokens.length,
      signal,
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
  return spans.map(({ start, end }) => {
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
