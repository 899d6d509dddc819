import { itemAt } from "../../models/certain.ts";
import { CapstanError, type Hook, planHooks } from "../../models/index.ts";
import { generate } from "../../sdk/inference/generate.ts";
import type {
  CacheOptions,
  GenerateOptions,
  GenerateResult,
  Model,
  Prompt,
  QueueOptions,
  Reply,
} from "../../sdk/types.ts";
import { ApiError, badRequest, messageFor, toApiError } from "../errors.ts";
import { checkModelAllowed, type Decision, decide } from "../policy/decide.ts";
import type { DriftReport } from "../policy/drift.ts";
import { type ReadHooks, readHooks, telemetryOf } from "../policy/readings.ts";
import type { ServedModel } from "../service/served_model.ts";
import type { CapstanRequest, CapstanResponse } from "../wire/capstan.ts";
import { eventStream, type ServerEvent } from "../wire/sse.ts";
import { keepAlive, type RequestContext, type Shared } from "./context.ts";

/**
 * A request to a model: what the policy made of it, its hooks, and the signal that ends it, when its client has left or its
 * deadline has passed.
 */
export class Call {
  readonly c: RequestContext;
  readonly shared: Shared;
  readonly served: ServedModel;
  readonly model: Model;
  decision: Decision;
  readonly signal: AbortSignal;
  /** The field of the request that holds what the model reads. */
  readonly param: string;
  /** What was seen of the conversation's earlier turns. */
  drift: DriftReport | null = null;
  read: ReadHooks;
  /** Where the request wants it read. */
  readonly #layer: number | null;
  readonly #left = new AbortController();
  readonly #deadline: AbortSignal;
  readonly #leave: () => void;
  /** Ends what listens to the signal: Deno stays alive for a timeout that is listened to. */
  #unlisten: () => void = () => {};

  private constructor(
    c: RequestContext,
    shared: Shared,
    served: ServedModel,
    model: Model,
    decision: Decision,
    param: string,
    layer: number | null,
    leave: () => void,
  ) {
    this.c = c;
    this.param = param;
    this.shared = shared;
    this.served = served;
    this.model = model;
    this.decision = decision;
    this.#layer = layer;
    this.read = readHooks(served, decision.caps, decision.hooks, layer);
    this.#deadline = AbortSignal.timeout(Math.ceil(c.var.state.policy.limits.deadline_s * 1000));
    const { signal } = c.req.raw as { signal?: AbortSignal };
    this.signal = AbortSignal.any([
      this.#left.signal,
      this.#deadline,
      ...(signal === undefined ? [] : [signal]),
    ]);
    this.#leave = leave;
  }

  /**
   * @param param the field of the request that holds what the model reads: `messages`, `prompt`, `input`
   * @throws ApiError 404 for a model that there is not, 403 for what the policy forbids, 400 for hooks that do not fit the
   *   model, 503 where it does not load
   */
  static async open(
    c: RequestContext,
    shared: Shared,
    param: string,
    request: { model?: string | null | undefined; capstan?: CapstanRequest | null | undefined },
  ): Promise<Call> {
    const served = servedModel(c, request.model);
    const decision = decide(served, c.var.client, request.capstan ?? undefined);
    const layer = request.capstan?.layer ?? null;
    if (layer !== null && served.axis?.layers.includes(layer) === false)
      throw badRequest(`The axis has no layer ${layer}.`, "capstan.layer", "layer_not_found");
    const { fields } = c.var.request_log;
    fields.model = served.name;
    const leave = served.holder.use();
    try {
      const loading = served.open();
      keepAlive(c, loading);
      const model = await loading.catch((error: unknown) => {
        throw error instanceof CapstanError ? unavailable(served.name, error) : error;
      });
      checkHooks(model, decision.hooks);
      const call = new Call(c, shared, served, model, decision, param, layer, leave);
      call.#showCap();
      return call;
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** Another cap beside those that act. */
  addCap(name: string): void {
    const caps = this.served.caps.get(name);
    if (caps === undefined || this.decision.caps.includes(caps)) return;
    const { cap, ...decision } = this.decision;
    this.decision = {
      ...decision,
      cap: cap === null ? name : `${cap}+${name}`,
      caps: [...decision.caps, caps],
    };
    this.read = readHooks(this.served, this.decision.caps, this.decision.hooks, this.#layer);
    this.#showCap();
  }

  #showCap(): void {
    const { cap } = this.decision;
    this.c.var.request_log.fields.cap = cap;
    this.c.header("x-capstan-cap", cap === null ? "none" : encodeURIComponent(cap));
  }

  /** For whom the model computes, for everything that it is asked: whose turn it is, whose cached prefixes, until when. */
  get asked_by(): Required<QueueOptions & CacheOptions> & { signal: AbortSignal } {
    const { client, state } = this.c.var;
    return {
      queue: "refuse",
      client: client.name,
      cache_salt: state.policy.prefix_cache === "by_key" ? client.name : "",
      signal: this.signal,
    };
  }

  /**
   * Submits a prompt: refused where the queue is full.
   *
   * @param first hooks before those that act
   */
  generate(prompt: Prompt, options: GenerateOptions, first: readonly Hook[] = []): Reply {
    return generate(this.model, prompt, {
      ...options,
      hooks: [...first, ...this.read.hooks],
      ...this.asked_by,
    });
  }

  /** The `capstan` field of a reply, and its share of the counters. */
  report(result: GenerateResult): CapstanResponse | undefined {
    const telemetry = telemetryOf(this.read, result);
    const { metrics } = this.shared;
    const { cap } = this.decision;
    if (telemetry?.tokens !== undefined && cap !== null) {
      metrics.positions.add({ model: this.served.name, cap }, telemetry.tokens);
      metrics.touched.add({ model: this.served.name, cap }, telemetry.touched);
    }
    if (telemetry !== null)
      this.c.var.request_log.fields.projection =
        telemetry.projection.axis ?? telemetry.projection.after ?? null;
    if (telemetry === null && this.drift === null) return undefined;
    return { cap, ...telemetry, ...(this.drift === null ? {} : { drift: this.drift }) };
  }

  /** What was asked or answered, for the log of a policy that asks for it; several replies one under the other. */
  noteText(field: "request_text" | "reply_text", text: string): void {
    if (!this.c.var.state.policy.log_text) return;
    const { fields } = this.c.var.request_log;
    fields[field] = fields[field] === undefined ? text : `${fields[field]}\n${text}`;
  }

  /** Counts tokens of a reply that has ended. */
  count({ usage }: GenerateResult): void {
    const { tokens } = this.shared.metrics;
    const model = this.served.name;
    tokens.add({ model, type: "prompt" }, usage.prompt_tokens);
    tokens.add({ model, type: "cached" }, usage.cached_tokens);
    tokens.add({ model, type: "completion" }, usage.completion_tokens);
    const { fields } = this.c.var.request_log;
    fields.prompt_tokens = usage.prompt_tokens;
    fields.completion_tokens = (fields.completion_tokens ?? 0) + usage.completion_tokens;
  }

  /** The first token of a reply is there. */
  firstToken(): void {
    const seconds = this.c.var.request_log.elapsed / 1000;
    this.shared.metrics.first_token.observe({ gen_ai_response_model: this.served.name }, seconds);
  }

  toError(error: unknown): ApiError {
    if (error instanceof CapstanError && error.code === "device_lost") this.served.holder.discard(this.model);
    const { is_draining } = this.shared.service;
    const { param, decision } = this;
    const deadline_passed = this.#deadline.aborted;
    return toApiError(error, { deadline_passed, is_draining, param, has_hooks: decision.hooks.length > 0 });
  }

  /** Runs a handler that answers when it is done; what it throws becomes the API's error. */
  async answer(handler: () => Promise<Response>): Promise<Response> {
    try {
      return await handler();
    } catch (error) {
      throw this.fail(error);
    } finally {
      this.end();
    }
  }

  /** Ends all that it runs; gives the error for the client. */
  fail(error: unknown): ApiError {
    const failed = this.toError(error);
    this.#left.abort();
    this.end();
    return failed;
  }

  /** Answers with a stream of events, which ends this call when it ends or its reader leaves. */
  stream(events: AsyncGenerator<ServerEvent, void, undefined>, end: string | null): Response {
    const { request_log } = this.c.var;
    request_log.is_streaming = true;
    request_log.fields.status = 200;
    const onAbort = () => {
      request_log.fields.code ??= this.#deadline.aborted ? "deadline_exceeded" : "client_closed_request";
      this.end();
      request_log.done();
    };
    if (this.signal.aborted) onAbort();
    else this.signal.addEventListener("abort", onAbort, { once: true });
    this.#unlisten = () => this.signal.removeEventListener("abort", onAbort);
    const body = eventStream(this.#untilEnd(events), {
      end,
      left: () => this.#left.abort(),
      toError: (error) => {
        const failed = this.toError(error);
        request_log.fields.code = failed.code;
        return failed;
      },
    });
    this.c.header("content-type", "text/event-stream; charset=utf-8");
    this.c.header("cache-control", "no-cache, no-transform");
    // Proxies that gather a response before they pass it on (nginx) are asked not to.
    this.c.header("x-accel-buffering", "no");
    return this.c.body(body);
  }

  async *#untilEnd(
    events: AsyncGenerator<ServerEvent, void, undefined>,
  ): AsyncGenerator<ServerEvent, void, undefined> {
    try {
      yield* events;
    } finally {
      this.end();
      // An error that ended it is noted first.
      queueMicrotask(() => queueMicrotask(() => this.c.var.request_log.done()));
    }
  }

  end(): void {
    this.#unlisten();
    this.#leave();
    this.c.var.release();
  }
}

/** Looks at a client's hooks by themselves, so that the error has their own numbers. */
function checkHooks({ spec }: Model, hooks: readonly Hook[]): void {
  for (const [i, hook] of hooks.entries()) {
    try {
      planHooks(spec, [hook]);
    } catch (error) {
      if (!(error instanceof CapstanError)) throw error;
      throw badRequest(messageFor(error), `capstan.hooks[${i}]`, "bad_hook");
    }
  }
}

/** The model that a request names. */
export function servedModel(c: RequestContext, name: string | null | undefined): ServedModel {
  const { models } = c.var.state;
  const chosen = name ?? itemAt([...models.keys()], 0);
  const served = models.get(chosen);
  if (served === undefined) {
    const shown = JSON.stringify(chosen.slice(0, 200));
    throw new ApiError(404, `The model ${shown} does not exist.`, {
      code: "model_not_found",
      param: "model",
    });
  }
  checkModelAllowed(c.var.client, chosen);
  return served;
}

function unavailable(name: string, cause: CapstanError): ApiError {
  const message = `The model ${JSON.stringify(name)} cannot be served now.`;
  return new ApiError(503, message, { code: "model_unavailable", retry_after: 5, cause });
}
