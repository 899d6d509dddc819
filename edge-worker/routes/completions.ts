import { itemAt } from "../../models/certain.ts";
import { streamDecoder } from "../../sdk/text/index.ts";
import type { GeneratedToken, GenerateOptions, GenerateResult, Model, Reply } from "../../sdk/types.ts";
import { badRequest, violation } from "../errors.ts";
import { readingLists, tokenReadings } from "../policy/readings.ts";
import { readBody } from "../wire/body.ts";
import type { Usage } from "../wire/chat.ts";
import {
  COMPLETION_REQUEST,
  type CompletionChoice,
  type CompletionLogprobs,
  type CompletionRequest,
  type CompletionResponse,
  promptList,
} from "../wire/completions.ts";
import { makeId, unixSeconds } from "../wire/ids.ts";
import { checkResponseFormat, samplingOptions } from "../wire/sampling.ts";
import { merge, type ServerEvent } from "../wire/sse.ts";
import { fingerprint, usageOf } from "../wire/tokens.ts";
import { Call } from "./call.ts";
import type { App, Shared } from "./context.ts";
import { type PromptToken, promptLogprobs } from "./prompt_logprobs.ts";
import { readPrompt } from "./prompt_tokens.ts";
import { numberOfReplies, replyLength } from "./replies.ts";

/** Tokens of a completion that names no number. */
const DEFAULT_MAX_TOKENS = 16;

/** `POST /v1/completions`: prompts as they are, no chat template. Caps act as they do on chats. */
export function addCompletions(app: App, shared: Shared): void {
  app.post("/v1/completions", async (c) => {
    const request = await readBody(c.req.raw, COMPLETION_REQUEST, c.var.state.policy.limits.max_body_bytes);
    checkFields(request);
    const call = await Call.open(c, shared, "prompt", request);
    if (request.stream !== true)
      return await call.answer(async () => c.json(await answer(call, begin(call, request))));
    try {
      return call.stream(chunks(call, begin(call, request)), "[DONE]");
    } catch (error) {
      throw call.fail(error);
    }
  });
}

function checkFields(request: CompletionRequest): void {
  checkResponseFormat(request.response_format, "response_format");
  if (request.suffix) throw badRequest("'suffix' is not supported.", "suffix", "unsupported_value");
  if (request.best_of && request.best_of > (request.n ?? 1))
    throw badRequest("'best_of' above 'n' is not supported.", "best_of", "unsupported_value");
}

interface RunningCompletion {
  request: CompletionRequest;
  replies: Running[];
  n_prompts: number;
  head: Pick<CompletionResponse, "id" | "created" | "model" | "system_fingerprint" | "object">;
}

/** What becomes a choice. */
interface Running {
  tokens: Int32Array;
  /** The prompt's text where it is to be echoed, and its log-probabilities where these are asked for, too. */
  echo: string;
  scores: Promise<PromptToken[]> | null;
  /** Null where nothing is to be generated. */
  reply: Reply | null;
}

function begin(call: Call, request: CompletionRequest): RunningCompletion {
  const { rules, name } = call.served;
  if (!rules.raw_prompts)
    throw violation("This model serves chats alone.", `models.${name}.raw_prompts`, "prompt");
  const prompts = promptList(request.prompt);
  const n = numberOfReplies(call, request.n, prompts.length);
  const max_tokens = request.max_tokens ?? DEFAULT_MAX_TOKENS;
  const shared: GenerateOptions = {
    ...replyLength(call, max_tokens, "max_tokens"),
    ...(request.logprobs == null ? {} : { logprobs: request.logprobs || true }),
  };
  const echoes = request.echo === true;
  const replies = prompts.flatMap((prompt, p) => {
    const tokens = readPrompt(call, prompt, request.special ?? "text");
    const scores = echoes && request.logprobs != null ? promptLogprobs(call, tokens, request.logprobs) : null;
    // Its failure is met where it is awaited.
    scores?.catch(() => {});
    return Array.from({ length: n }, (_, i): Running => {
      const options = { ...shared, ...samplingOptions(call.model, request, p * n + i) };
      const reply = max_tokens === 0 ? null : call.generate(tokens, options);
      return { tokens, echo: echoes ? textOf(call.model, prompt) : "", scores, reply };
    });
  });
  call.noteText("request_text", JSON.stringify(prompts));
  const head = {
    id: makeId("cmpl-"),
    object: "text_completion" as const,
    created: unixSeconds(),
    model: call.served.name,
    system_fingerprint: fingerprint(call.model),
  };
  return { request, replies, n_prompts: prompts.length, head };
}

function textOf(model: Model, prompt: string | number[]): string {
  return typeof prompt === "string" ? prompt : model.tokenizer.decode(prompt);
}

async function answer(call: Call, run: RunningCompletion): Promise<CompletionResponse> {
  const choices = await Promise.all(
    run.replies.map(async (one, index): Promise<CompletionChoice> => {
      const { echo, reply } = one;
      const logprobs = await LogprobList.begin(call.model, one);
      for await (const token of reply ?? []) {
        if (logprobs.n === 0) call.firstToken();
        logprobs.add(token);
      }
      const result = await resultOf(call, one);
      const report = reply === null ? undefined : call.report(result);
      const capstan = report && {
        ...report,
        ...(run.request.capstan?.projections ? { projections: readingLists(result) } : {}),
      };
      return {
        index,
        text: echo + result.text,
        logprobs: run.request.logprobs == null ? null : logprobs.list,
        finish_reason: result.finish_reason === "length" ? "length" : "stop",
        ...(capstan === undefined ? {} : { capstan }),
      };
    }),
  );
  return { ...run.head, choices, usage: await usageOfAll(run) };
}

/** What a choice came to, counted and noted. */
async function resultOf(call: Call, running: Running): Promise<GenerateResult> {
  const result = await resultWithout(running);
  call.noteText("reply_text", result.text);
  call.count(result);
  return result;
}

/** Of a reply that was never begun, the prompt alone. */
async function resultWithout({ tokens, scores, reply }: Running): Promise<GenerateResult> {
  if (reply !== null) return await reply.result;
  await scores;
  const n = tokens.length;
  const usage = { prompt_tokens: n, completion_tokens: 0, total_tokens: n, cached_tokens: 0 };
  const nothing = { projections: {}, caps: {}, means: {} };
  return { text: "", tokens: new Int32Array(0), finish_reason: "length", usage, ...nothing };
}

async function usageOfAll({ replies, n_prompts }: RunningCompletion): Promise<Usage> {
  return usageOf(await Promise.all(replies.map(resultWithout)), n_prompts);
}

async function* chunks(call: Call, run: RunningCompletion): AsyncGenerator<ServerEvent, void, undefined> {
  const with_usage = run.request.stream_options?.include_usage === true;
  const base = { ...run.head, ...(with_usage ? { usage: null } : {}) };
  yield* merge(run.replies.map((_, index) => choiceChunks(call, run, base, index)));
  if (with_usage) yield { data: { ...base, choices: [], usage: await usageOfAll(run) } };
}

async function* choiceChunks(
  call: Call,
  run: RunningCompletion,
  base: object,
  index: number,
): AsyncGenerator<ServerEvent, void, undefined> {
  const running = itemAt(run.replies, index);
  const { echo, reply } = running;
  const { request } = run;
  const chunk = (text: string, rest: object = {}, extra: object = {}): ServerEvent => ({
    data: { ...base, choices: [{ index, text, logprobs: null, finish_reason: null, ...rest }], ...extra },
  });
  const opening = await LogprobList.begin(call.model, running);
  if (echo !== "") yield chunk(echo, opening.list.tokens.length === 0 ? {} : { logprobs: opening.list });
  let offset = echo.length;
  let is_first = true;
  for await (const token of reply ?? []) {
    if (is_first) call.firstToken();
    is_first = false;
    const logprobs = new LogprobList(call.model, offset);
    logprobs.add(token);
    offset += token.text.length;
    const read = request.capstan?.projections ? tokenReadings(token) : null;
    const extra = read === null ? {} : { capstan: { cap: call.decision.cap, ...read } };
    yield chunk(token.text, request.logprobs == null ? {} : { logprobs: logprobs.list }, extra);
  }
  const result = await resultOf(call, running);
  const capstan = reply === null ? undefined : call.report(result);
  const finish_reason = result.finish_reason === "length" ? "length" : "stop";
  yield chunk("", { finish_reason }, capstan === undefined ? {} : { capstan });
}

/** Log-probabilities in the form of OpenAI's older API. */
class LogprobList {
  readonly list: CompletionLogprobs = { tokens: [], token_logprobs: [], top_logprobs: null, text_offset: [] };
  n = 0;
  readonly #model: Model;
  #offset: number;

  constructor(model: Model, offset: number) {
    this.#model = model;
    this.#offset = offset;
  }

  /** With the prompt's own in it, where these were asked for. */
  static async begin(model: Model, { echo, scores }: Running): Promise<LogprobList> {
    if (scores === null) return new LogprobList(model, echo.length);
    const list = new LogprobList(model, 0);
    const tokens = await scores;
    const decoder = streamDecoder(model.tokenizer, { skip_special_tokens: true });
    const has_top = tokens.some(({ top_logprobs }) => top_logprobs !== undefined);
    for (const token of tokens) list.#push(token, decoder.push(token.id), has_top);
    list.#offset = echo.length;
    return list;
  }

  add(token: GeneratedToken): void {
    this.n++;
    if (token.logprob !== undefined) this.#push(token, token.text, token.top_logprobs !== undefined);
  }

  #push({ id, logprob, top_logprobs }: PromptToken, text: string, has_top: boolean): void {
    const { list } = this;
    const decode = (one: number) => this.#model.tokenizer.decode([one]);
    list.tokens.push(decode(id));
    list.token_logprobs.push(logprob ?? null);
    list.text_offset.push(this.#offset);
    this.#offset += text.length;
    if (!has_top) return;
    list.top_logprobs ??= [];
    list.top_logprobs.push(
      top_logprobs === undefined
        ? null
        : Object.fromEntries(top_logprobs.map((one) => [decode(one.id), one.logprob])),
    );
  }
}
