import { itemAt, lastOf, present } from "../../../models/certain.ts";
import type { AxisCard } from "../../policy/axis_card.ts";
import {
  BackendError,
  type CapCard,
  type ChatBackend,
  type ModelCard,
  type Reading,
  type ReplyEvent,
  type ReplyRequest,
} from "./backend.ts";
import { readEvents } from "./events.ts";

/** Capstan's HTTP API. */
export class ServerBackend implements ChatBackend {
  readonly #base: string;
  readonly #fetch: typeof fetch;
  #models: ModelCard[] = [];
  /** What is sent as the bearer's key; empty for none. */
  key = "";

  /** @param base the address of `/v1` */
  constructor(base: string, request: typeof fetch = (...given) => fetch(...given)) {
    this.#base = base;
    this.#fetch = request;
  }

  async models(): Promise<ModelCard[]> {
    const [models, caps] = await Promise.all([
      this.#get<ModelList>("/models"),
      this.#get<{ data: CapEntry[] }>("/caps"),
    ]);
    this.#models = models.data.map(({ id, capstan }) => ({
      name: id,
      device: capstan.device === null ? "not loaded yet" : `${capstan.device}, ${capstan.dtype}`,
      n_ctx: capstan.n_ctx,
      caps: caps.data.filter(({ model }) => model === id).map(capCard),
      default_cap: capstan.default_cap,
      pinned: capstan.pinned,
      axis: capstan.axis,
      own: null,
    }));
    return this.#models;
  }

  async *reply(request: ReplyRequest, signal: AbortSignal): AsyncGenerator<ReplyEvent, void, undefined> {
    try {
      const response = await this.#send("/chat/completions", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(bodyOf(request)),
        signal,
      });
      yield* replyEvents(response, this.#isCapped(request));
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
  }

  #isCapped({ model, condition, layer }: ReplyRequest): boolean {
    const caps = this.#models.find(({ name }) => name === model)?.caps;
    const cap = caps?.find(({ name }) => name === condition.cap);
    return cap !== undefined && layer !== null && layer >= cap.layers.start && layer < cap.layers.end;
  }

  async #get<T>(path: string): Promise<T> {
    return (await (await this.#send(path, {})).json()) as T;
  }

  async #send(path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.key !== "") headers.set("authorization", `Bearer ${this.key}`);
    let response: Response;
    try {
      response = await this.#fetch(`${this.#base}${path}`, { ...init, headers });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new BackendError("The server does not answer. Is it running, and is this page still online?");
    }
    if (response.ok) return response;
    const body = (await response.json().catch(() => null)) as { error?: { message?: unknown } } | null;
    const message = body?.error?.message;
    throw new BackendError(
      typeof message === "string" ? message : `The server answered with status ${response.status}.`,
      response.status,
    );
  }
}

interface ModelList {
  data: {
    id: string;
    capstan: {
      device: string | null;
      dtype: string | null;
      n_ctx: number | null;
      default_cap: string | null;
      pinned: boolean;
      axis: AxisCard | null;
    };
  }[];
}

interface CapEntry {
  id: string;
  model: string;
  layers: number[];
  percentile: number | null;
  floors: (number | null)[];
}

function capCard({ id, layers, percentile, floors }: CapEntry): CapCard {
  return { name: id, layers: { start: itemAt(layers, 0), end: lastOf(layers) + 1 }, percentile, floors };
}

function bodyOf({ model, messages, condition, layer, sampling }: ReplyRequest): object {
  const { temperature, max_tokens, seed } = sampling;
  return {
    model,
    messages,
    stream: true,
    temperature,
    max_tokens,
    ...(seed === null ? {} : { seed }),
    capstan: { cap: condition.cap ?? false, projections: true, ...(layer === null ? {} : { layer }) },
  };
}

/** What a chunk of a stream has, as far as the page looks at it. */
interface Chunk {
  choices?: {
    delta?: { content?: string | null; reasoning_content?: string | null };
    finish_reason?: string | null;
  }[];
  capstan?: {
    before?: number;
    after?: number;
    axis?: number;
    touched?: number;
    tokens?: number;
    mean_shift?: number;
  };
  error?: { message: string };
}

/** @throws BackendError for an error in the stream, and for one that ends before its end */
async function* replyEvents(
  response: Response,
  is_capped: boolean,
): AsyncGenerator<ReplyEvent, void, undefined> {
  let has_ended = false;
  for await (const data of readEvents(present(response.body, "the body"))) {
    if (data === "[DONE]") break;
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error !== undefined) throw new BackendError(chunk.error.message);
    const choice = chunk.choices?.[0];
    if (choice === undefined) continue;
    const { content, reasoning_content } = choice.delta ?? {};
    const text = reasoning_content ?? content;
    if (typeof text === "string" && (text !== "" || chunk.capstan !== undefined)) {
      const is_reasoning = reasoning_content != null;
      yield { kind: "token", text, is_reasoning, reading: readingOf(chunk.capstan ?? {}, is_capped) };
    }
    if (choice.finish_reason == null) continue;
    has_ended = true;
    const { touched, tokens, mean_shift } = chunk.capstan ?? {};
    const effect =
      touched === undefined || tokens === undefined ? null : { touched, tokens, mean_shift: mean_shift ?? 0 };
    yield { kind: "end", finish_reason: choice.finish_reason, effect };
  }
  if (!has_ended) throw new BackendError("The connection was lost in the middle of the reply.");
}

/**
 * What is read of a token. Into the cap: its own reading, where it acts on the layer that is read. Out of it: the axis there.
 *
 * @param is_capped whether the cap acts on the layer that is read
 */
export function readingOf(
  { before, after, axis }: { before?: number; after?: number; axis?: number },
  is_capped: boolean,
): Reading {
  const out = axis ?? after;
  const into = axis === undefined || is_capped ? (before ?? out) : out;
  return { ...(into === undefined ? {} : { before: into }), ...(out === undefined ? {} : { after: out }) };
}
