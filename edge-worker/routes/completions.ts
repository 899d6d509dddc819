import type { GeneratedToken, GenerateOptions, GenerateResult, Model, Reply } from "../../sdk/types.ts";
import { badRequest, violation } from "../errors.ts";
import { readingLists, tokenReadings } from "../policy/readings.ts";
import { readBody } from "../wire/body.ts";
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
import { numberOfReplies, replyLength } from "./replies.ts";

/** Tokens of a completion that names no number. */
const DEFAULT_MAX_TOKENS = 16;

/** `POST /v1/completions`: prompts as they are, no chat template. Caps act as they do on chats. */
export function addCompletions(app: App, shared: Shared): void {
  app.post("/v1/completions", async (c) => {
    const request = await readBody(c.req.raw, COMPLETION_REQUEST, c.var.state.policy.limits.max_body_bytes);
    checkFields(request);
    const call = await Call.open(c, shared, request.model, request.capstan ?? undefined);
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
  /** One for each choice: its prompt's text where it is to be echoed, and its reply. */
  replies: { echo: string; reply: Reply }[];
  n_prompts: number;
  head: Pick<CompletionResponse, "id" | "created" | "model" | "system_fingerprint" | "object">;
}

function begin(call: Call, request: CompletionRequest): RunningCompletion {
  const { rules, name } = call.served;
  if (!rules.raw_prompts)
    throw violation("This model serves chats alone.", `models.${name}.raw_prompts`, "prompt");
  const prompts = promptList(request.prompt);
  const n = numberOfReplies(call, request.n, prompts.length);
  const shared: GenerateOptions = {
    ...replyLength(call, request.max_tokens ?? DEFAULT_MAX_TOKENS, "max_tokens"),
    ...(request.special ? { special: request.special } : {}),
    ...(request.logprobs == null ? {} : { logprobs: request.logprobs || true }),
  };
  const replies = prompts.flatMap((prompt, p) =>
    Array.from({ length: n }, (_, i) => ({
      echo: request.echo === true ? textOf(call.model, prompt) : "",
      reply: call.generate(prompt, { ...shared, ...samplingOptions(request, p * n + i) }),
    })),
  );
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
  const results: GenerateResult[] = [];
  const choices = await Promise.all(
    run.replies.map(async ({ echo, reply }, index): Promise<CompletionChoice> => {
      const logprobs = new LogprobList(call.model, echo.length);
      for await (const token of reply) {
        if (logprobs.n === 0) call.firstToken();
        logprobs.add(token);
      }
      const result = await reply.result;
      results[index] = result;
      call.noteText("reply_text", result.text);
      call.count(result);
      const report = call.report(result);
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
  return { ...run.head, choices, usage: usageOf(results, run.n_prompts) };
}

async function* chunks(call: Call, run: RunningCompletion): AsyncGenerator<ServerEvent, void, undefined> {
  const with_usage = run.request.stream_options?.include_usage === true;
  const base = { ...run.head, ...(with_usage ? { usage: null } : {}) };
  yield* merge(run.replies.map((_, index) => choiceChunks(call, run, base, index)));
  if (!with_usage) return;
  const results = await Promise.all(run.replies.map(({ reply }) => reply.result));
  yield { data: { ...base, choices: [], usage: usageOf(results, run.n_prompts) } };
}

async function* choiceChunks(
  call: Call,
  run: RunningCompletion,
  base: object,
  index: number,
): AsyncGenerator<ServerEvent, void, undefined> {
  const { echo, reply } = run.replies[index]!;
  const { request } = run;
  const chunk = (text: string, rest: object = {}, extra: object = {}): ServerEvent => ({
    data: { ...base, choices: [{ index, text, logprobs: null, finish_reason: null, ...rest }], ...extra },
  });
  if (echo !== "") yield chunk(echo);
  let offset = echo.length;
  let is_first = true;
  for await (const token of reply) {
    if (is_first) call.firstToken();
    is_first = false;
    const logprobs = new LogprobList(call.model, offset);
    logprobs.add(token);
    offset += token.text.length;
    const read = request.capstan?.projections ? tokenReadings(token) : null;
    const extra = read === null ? {} : { capstan: { cap: call.decision.cap, ...read } };
    yield chunk(token.text, request.logprobs == null ? {} : { logprobs: logprobs.list }, extra);
  }
  const result = await reply.result;
  call.noteText("reply_text", result.text);
  call.count(result);
  const capstan = call.report(result);
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

  add({ id, text, logprob, top_logprobs }: GeneratedToken): void {
    this.n++;
    if (logprob === undefined) return;
    const { list } = this;
    const decode = (one: number) => this.#model.tokenizer.decode([one]);
    list.tokens.push(decode(id));
    list.token_logprobs.push(logprob);
    list.text_offset.push(this.#offset);
    this.#offset += text.length;
    if (top_logprobs === undefined) return;
    list.top_logprobs ??= [];
    list.top_logprobs.push(Object.fromEntries(top_logprobs.map((one) => [decode(one.id), one.logprob])));
  }
}
