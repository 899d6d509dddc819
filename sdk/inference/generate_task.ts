import { itemAt, lastOf } from "../../models/certain.ts";
import {
  abortedError,
  CapstanError,
  expandSites,
  type HookPlan,
  planHooks,
  type Site,
  siteId,
} from "../../models/index.ts";
import * as rules from "../common/options.ts";
import { type Rules, readOptions } from "../common/options.ts";
import { SAMPLING_RULES } from "../common/sampling_rules.ts";
import { readTokenIds } from "../common/token_ids.ts";
import { StopStrings } from "../text/stream/stop_strings.ts";
import type {
  CapEffect,
  GeneratedToken,
  GenerateOptions,
  GenerateResult,
  Model,
  Prompt,
  Reply,
} from "../types.ts";
import { meansOf } from "./forward.ts";
import { promptTokens } from "./prompt.ts";
import { ReplyStream } from "./reply.ts";
import type { Runtime, StreamDecoder } from "./runtime.ts";
import { needsHistory, readSampling, type Sampling } from "./sampling.ts";
import type { Sequence } from "./scheduler/sequence.ts";
import type { Call, CallResult, Task } from "./scheduler/task.ts";

/** Tokens of a reply when the caller names no number. */
const DEFAULT_MAX_TOKENS = 512;
const OPTIONS: Rules<GenerateOptions> = {
  hooks: rules.hooks,
  max_tokens: rules.whole(1),
  ...SAMPLING_RULES,
  logit_bias: rules.record,
  seed: rules.whole(0),
  stop: rules.anyOf(rules.text, rules.texts),
  stop_token_ids: rules.integers,
  logprobs: rules.anyOf(rules.boolean, rules.whole(0, 100)),
  mean: rules.texts,
  special: rules.oneOf("text", "parse"),
  continue_final_message: rules.boolean,
  template_args: rules.record,
  ...rules.QUEUE,
  ...rules.CACHE,
  prefix_cache: rules.oneOf("long", "brief"),
  prompt_projections: rules.boolean,
  signal: rules.signal,
};

/** Stands for a token that is fed before it is known. */
const UNKNOWN = new Int32Array(1);

/**
 * Submits a reply to the scheduler: what `Model.generate` does.
 *
 * @throws CapstanError as `generate`
 */
export function startReply(
  model: Model,
  runtime: Runtime,
  prompt: Prompt,
  given: GenerateOptions = {},
): Reply {
  const options = readOptions("generate", given, OPTIONS);
  const tokens = promptTokens(model, prompt, options);
  const request = readRequest(model, tokens, options);
  const { signal } = options;
  const plan = planHooks(model.spec, options.hooks ?? []);
  if (signal?.aborted) {
    const reply = new ReplyStream(() => {});
    reply.fail(abortedError("generate", signal));
    return reply;
  }
  const sequence = runtime.scheduler.openSequence(plan, options.cache_salt);
  const task = new GenerateTask(model, runtime, sequence, request, signal);
  try {
    runtime.scheduler.submit(task);
  } catch (error) {
    task.release();
    throw error;
  }
  return task.reply;
}

interface Request {
  tokens: Int32Array;
  max_tokens: number;
  sampling: Sampling;
  stops: string[];
  /** Ids that end the reply. */
  stop_ids: ReadonlySet<number>;
  mean_sites: Site[];
  client: string;
  queue: Task["queue"];
  is_brief: boolean;
  projects_prompt: boolean;
}

function readRequest(model: Model, tokens: Int32Array, options: GenerateOptions): Request {
  const free_positions = model.n_ctx - tokens.length;
  if (free_positions < 1) {
    throw new CapstanError("context_overflow", {
      action: "generate",
      need: `a prompt of at most ${model.n_ctx - 1} tokens (n_ctx ${model.n_ctx})`,
      found: `${tokens.length}`,
      fix: "Shorten the prompt, or load the model with a larger n_ctx.",
    });
  }
  return {
    tokens,
    max_tokens: Math.min(options.max_tokens ?? DEFAULT_MAX_TOKENS, free_positions),
    sampling: readSampling(model, options),
    ...readStops(model, options),
    mean_sites: expandSites(model.spec, options.mean ?? []),
    client: options.client ?? "",
    queue: options.queue ?? "wait",
    is_brief: options.prefix_cache === "brief",
    projects_prompt: options.prompt_projections === true,
  };
}

function readStops(
  model: Model,
  { stop, stop_token_ids }: GenerateOptions,
): Pick<Request, "stops" | "stop_ids"> {
  // Without a tokenizer there is no text to stop at: say so now.
  if (stop !== undefined) void model.tokenizer.size;
  const stops = stop === undefined ? [] : typeof stop === "string" ? [stop] : [...stop];
  if (stops.includes("")) {
    const need = "stop strings of some characters";
    throw new CapstanError("bad_request", { action: "generate", need, found: "an empty one" });
  }
  const ids = stop_token_ids?.length ? readTokenIds(model, stop_token_ids, "stop_token_ids") : [];
  const of_texts = stops.map((text) => model.tokenizer.tokenId(text)).filter((id) => id !== undefined);
  return { stops, stop_ids: new Set([...model.spec.eos_token_ids, ...ids, ...of_texts]) };
}

/** The state of one reply between the steps of the scheduler. */
class GenerateTask implements Task {
  readonly reply: ReplyStream;
  readonly sequence: Sequence;
  readonly first: Call;
  readonly max_tokens: number;
  readonly is_brief: boolean;
  readonly signal: AbortSignal;
  readonly client: string;
  readonly queue: Task["queue"];
  readonly #model: Model;
  readonly #runtime: Runtime;
  readonly #request: Request;
  readonly #callers_signal: AbortSignal | undefined;
  /** Aborted when the reply's reader has left. */
  readonly #left = new AbortController();
  readonly #accumulator: number | null;
  readonly #decoder: StreamDecoder | null;
  readonly #stops: StopStrings<GeneratedToken>;
  readonly #drawn: number[] = [];
  readonly #sent: GeneratedToken[] = [];
  #text = "";
  #cached = 0;
  #finish_reason: GenerateResult["finish_reason"] | null = null;

  constructor(
    model: Model,
    runtime: Runtime,
    sequence: Sequence,
    request: Request,
    signal: AbortSignal | undefined,
  ) {
    this.#model = model;
    this.#runtime = runtime;
    this.#request = request;
    this.reply = new ReplyStream(() => this.#cancel());
    this.sequence = sequence;
    this.#callers_signal = signal;
    this.signal = signal === undefined ? this.#left.signal : AbortSignal.any([this.#left.signal, signal]);
    this.client = request.client;
    this.queue = request.queue;
    this.is_brief = request.is_brief;
    this.max_tokens = request.tokens.length + request.max_tokens;
    this.#decoder = runtime.streamDecoder();
    this.#stops = new StopStrings(request.stops);
    const sites = request.mean_sites.map((site) => siteId(model.spec, site));
    this.#accumulator = sites.length === 0 ? null : runtime.addAccumulator(sites);
    this.first = this.#call(request.tokens, 0);
  }

  next(result: CallResult): Call | null {
    if (this.#drawn.length === 0) this.#takePrompt(result);
    if (this.#finish_reason !== null) return null;
    if (this.#request.stop_ids.has(result.token)) return this.#finish("stop", "send");
    this.#drawn.push(result.token);
    if (this.#take(result)) return this.#finish("stop", "drop");
    if (this.#drawn.length < this.#request.max_tokens) return this.#call(Int32Array.of(result.token), 1);
    this.#finish("length", "send");
    // The last token's own activations are part of the mean: it is fed, and nothing drawn after it.
    return this.#accumulator === null ? null : this.#call(Int32Array.of(result.token), 1);
  }

  /** The prompt has been read. */
  #takePrompt({ cached, projections }: CallResult): void {
    this.#cached = cached;
    const names = this.#request.projects_prompt ? this.sequence.hooks.plan.projection_names : [];
    this.reply.takePrompt(Object.fromEntries(names.map((name, row) => [name, itemAt(projections, row)])));
  }

  ahead(): Call | "ends" | "waits" {
    if (this.#finish_reason !== null) return "ends";
    // A mean must not take in the token that ends the reply.
    if (this.#accumulator !== null) return "waits";
    const draw = this.#drawn.length + 1;
    return draw === this.#request.max_tokens ? "ends" : this.#call(UNKNOWN, 1, draw);
  }

  ended(error: unknown): void {
    // A reader that left gets no error; an abort by the caller's own signal is one.
    const has_failed = error !== undefined && (!this.#left.signal.aborted || this.#callers_signal?.aborted);
    if (has_failed) this.reply.fail(error);
    else if (this.#accumulator === null) this.reply.finish(this.#result({}));
    else this.#finishWithMeans(this.#accumulator);
    // Its memory is others' at once; its accumulator waits until it has been read.
    this.#runtime.scheduler.closeSequence(this.sequence);
    if (has_failed) this.#freeAccumulator();
  }

  /** Frees what it holds when it was never submitted. */
  release(): void {
    this.#runtime.scheduler.closeSequence(this.sequence);
    this.#freeAccumulator();
  }

  /** The reader has left: the reply ends with what there is. */
  #cancel(): void {
    if (this.#finish_reason !== null) return;
    this.#left.abort();
    this.#finish("abort", "send");
  }

  #freeAccumulator(): void {
    if (this.#accumulator !== null) this.#runtime.freeAccumulator(this.#accumulator);
  }

  #finishWithMeans(accumulator: number): void {
    const { mean_sites } = this.#request;
    meansOf(this.#runtime, accumulator, mean_sites, this.#model.spec.d_model)
      .finally(() => this.#freeAccumulator())
      .then(
        (means) => this.reply.finish(this.#result(means)),
        (error: unknown) => this.reply.fail(error),
      );
  }

  /** A call that feeds `tokens`, of which the last `n_reply` are the reply's own. */
  #call(tokens: Int32Array, n_reply: number, draw = this.#drawn.length): Call {
    const id = this.#accumulator;
    const spans =
      id === null || n_reply === 0 ? [] : [{ id, start: tokens.length - n_reply, end: tokens.length }];
    return {
      tokens,
      sample: this.#finish_reason === null ? this.#sample(draw) : null,
      logits: "none",
      captures: [],
      accumulate: spans,
      reads_all: false,
      projects_all: n_reply === 0 && this.#request.projects_prompt,
    };
  }

  #sample(draw: number): Call["sample"] {
    const { sampling, tokens } = this.#request;
    const history = needsHistory(sampling) ? Int32Array.from([...tokens, ...this.#drawn]) : null;
    return { ...sampling, history, n_prompt: tokens.length, draw };
  }

  /** Sends what the new token completes; true when a stop string is met. */
  #take(result: CallResult): boolean {
    if (this.#decoder === null) {
      this.#send(this.#describe(result));
      return false;
    }
    const text = this.#decoder.push(result.token);
    const piece = { token: this.#describe(result), text };
    const { out, stopped } = this.#stops.push(piece, this.#decoder.is_open);
    for (const piece of out) this.#send({ ...piece.token, text: piece.text });
    return stopped;
  }

  #describe(result: CallResult): GeneratedToken {
    const token: GeneratedToken = { id: result.token, text: "" };
    if (result.logprobs !== null) {
      token.logprob = result.logprobs.token;
      if (this.#request.sampling.top_logprobs > 0) token.top_logprobs = result.logprobs.top;
    }
    const names = this.sequence.hooks.plan.projection_names;
    if (names.length > 0) {
      token.projections = Object.fromEntries(
        names.map((name, row) => [name, lastOf(itemAt(result.projections, row))]),
      );
    }
    return token;
  }

  #send(token: GeneratedToken): void {
    this.#sent.push(token);
    this.#text += token.text;
    this.reply.push(token);
  }

  /** Ends the reply; what was held back goes out unless it is (or follows) a stop string. */
  #finish(reason: GenerateResult["finish_reason"], held: "send" | "drop"): null {
    this.#finish_reason = reason;
    if (held === "send" && this.#sendRest()) this.#finish_reason = "stop";
    return null;
  }

  /** Sends what was held back; true when a stop string is met in it. */
  #sendRest(): boolean {
    const { out, stopped } = this.#stops.flush(this.#decoder?.flush());
    for (const piece of out) this.#send({ ...piece.token, text: piece.text });
    return stopped;
  }

  #result(means: GenerateResult["means"]): GenerateResult {
    const prompt_tokens = this.#request.tokens.length;
    const completion_tokens = this.#drawn.length;
    const names = this.sequence.hooks.plan.projection_names;
    return {
      text: this.#text,
      tokens: Int32Array.from(this.#sent, (token) => token.id),
      finish_reason: this.#finish_reason ?? "length",
      usage: {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens + completion_tokens,
        cached_tokens: this.#cached,
      },
      projections: Object.fromEntries(
        names.map((name) => [name, Float32Array.from(this.#sent, (token) => token.projections?.[name] ?? 0)]),
      ),
      caps: capEffects(this.sequence.hooks.plan.named_caps, this.#sent),
      means,
    };
  }
}

/** What each named cap did at the positions that the reply's tokens were drawn from. */
function capEffects(
  caps: HookPlan["named_caps"],
  tokens: readonly GeneratedToken[],
): Record<string, CapEffect> {
  return Object.fromEntries(
    caps.map(({ name, floor, ceiling }) => {
      const shifts = tokens.map(({ projections }) => {
        const p = projections?.[name] ?? 0;
        return Math.max(floor - p, p - ceiling, 0);
      });
      const sum = shifts.reduce((total, shift) => total + shift, 0);
      const effect = {
        tokens: shifts.length,
        touched: shifts.filter((shift) => shift > 0).length,
        mean_shift: shifts.length === 0 ? 0 : sum / shifts.length,
        max_shift: Math.max(0, ...shifts),
      };
      return [name, effect];
    }),
  );
}
