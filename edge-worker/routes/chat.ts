import { itemAt } from "../../models/certain.ts";
import type { GenerateOptions, GenerateResult, Reply } from "../../sdk/types.ts";
import { badRequest } from "../errors.ts";
import { readingLists, tokenReadings } from "../policy/readings.ts";
import { readBody } from "../wire/body.ts";
import type { CapstanRequest, CapstanResponse } from "../wire/capstan.ts";
import {
  CHAT_REQUEST,
  type ChatChoice,
  type ChatRequest,
  type ChatResponse,
  type TokenLogprob,
} from "../wire/chat.ts";
import { makeId, unixSeconds } from "../wire/ids.ts";
import { checkResponseFormat, samplingOptions } from "../wire/sampling.ts";
import { merge, type ServerEvent } from "../wire/sse.ts";
import { fingerprint, tokenLogprob, usageOf } from "../wire/tokens.ts";
import { Call } from "./call.ts";
import type { App, Shared } from "./context.ts";
import { type Conversation, readConversation } from "./conversation.ts";
import { MessageBuilder, numberOfReplies, type ReplyStep, replyLength, splitReply } from "./replies.ts";
import { beginReplies } from "./watch_drift.ts";

/** `POST /v1/chat/completions` */
export function addChat(app: App, shared: Shared): void {
  app.post("/v1/chat/completions", async (c) => {
    const request = await readBody(c.req.raw, CHAT_REQUEST, c.var.state.policy.limits.max_body_bytes);
    checkFields(request);
    const call = await Call.open(c, shared, "messages", request);
    if (request.stream !== true)
      return await call.answer(async () => c.json(await answer(call, await begin(call, request))));
    try {
      return call.stream(chunks(call, await begin(call, request)), "[DONE]");
    } catch (error) {
      throw call.fail(error);
    }
  });
}

function checkFields(request: ChatRequest): void {
  checkResponseFormat(request.response_format, "response_format");
  if (request.top_logprobs && request.logprobs !== true)
    throw badRequest("'top_logprobs' needs 'logprobs': true.", "top_logprobs");
  if (request.stream_options && request.stream !== true)
    throw badRequest("'stream_options' is allowed where 'stream' is true.", "stream_options");
}

/** A chat whose replies are being written. */
interface RunningChat {
  request: ChatRequest;
  conversation: Conversation;
  replies: Reply[];
  capstan: CapstanRequest | undefined;
  head: Pick<ChatResponse, "id" | "created" | "model" | "system_fingerprint">;
}

async function begin(call: Call, request: ChatRequest): Promise<RunningChat> {
  const conversation = readConversation(call.model, request);
  const n = numberOfReplies(call, request.n);
  const capstan = request.capstan ?? undefined;
  const [length, param] =
    request.max_completion_tokens == null
      ? ([request.max_tokens, "max_tokens"] as const)
      : ([request.max_completion_tokens, "max_completion_tokens"] as const);
  const shared: GenerateOptions = {
    ...replyLength(call, length, param),
    ...(request.logprobs ? { logprobs: request.top_logprobs || true } : {}),
  };
  const options = Array.from({ length: n }, (_, index) => ({
    ...shared,
    ...samplingOptions(call.model, request, index),
  }));
  const replies = await beginReplies(call, conversation, capstan, options);
  call.noteText("request_text", JSON.stringify(conversation.messages));
  const head = {
    id: makeId("chatcmpl-"),
    created: unixSeconds(),
    model: call.served.name,
    system_fingerprint: fingerprint(call.model),
  };
  return { request, conversation, replies, capstan, head };
}

async function answer(call: Call, chat: RunningChat): Promise<ChatResponse> {
  const { replies, conversation, head } = chat;
  let reasoning_tokens = 0;
  const results: GenerateResult[] = [];
  const choices = await Promise.all(
    replies.map(async (reply, index): Promise<ChatChoice> => {
      const message = new MessageBuilder();
      const logprobs: TokenLogprob[] = [];
      for await (const step of splitReply(reply, conversation, () => call.firstToken())) {
        message.add(step);
        if (step.token === null) continue;
        if (chat.request.logprobs) logprobs.push(tokenLogprob(call.model, step.token));
      }
      const result = await reply.result;
      results[index] = result;
      call.noteText("reply_text", result.text);
      call.count(result);
      reasoning_tokens += message.n_reasoning;
      const report = call.report(result);
      const capstan = report && {
        ...report,
        ...(chat.capstan?.projections ? { projections: readingLists(result) } : {}),
      };
      return choiceOf(index, message, result, chat.request.logprobs ? logprobs : null, capstan);
    }),
  );
  const first = choices[0]?.capstan;
  return {
    ...head,
    object: "chat.completion",
    choices,
    usage: usageOf(results, 1, reasoning_tokens),
    ...(first === undefined ? {} : { capstan: first }),
  };
}

function choiceOf(
  index: number,
  message: MessageBuilder,
  result: GenerateResult,
  logprobs: TokenLogprob[] | null,
  capstan: CapstanResponse | undefined,
): ChatChoice {
  const { content, reasoning, tool_calls } = message;
  return {
    index,
    message: {
      role: "assistant",
      content: content === "" && tool_calls.length > 0 ? null : content,
      refusal: null,
      ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
      ...(tool_calls.length === 0 ? {} : { tool_calls }),
    },
    logprobs: logprobs && { content: logprobs, refusal: null },
    finish_reason: message.finishReason(result),
    ...(capstan === undefined ? {} : { capstan }),
  };
}

async function* chunks(call: Call, chat: RunningChat): AsyncGenerator<ServerEvent, void, undefined> {
  const { head, request, replies } = chat;
  const with_usage = request.stream_options?.include_usage === true;
  const base = { ...head, object: "chat.completion.chunk", ...(with_usage ? { usage: null } : {}) };
  const builders = replies.map(() => new MessageBuilder());
  yield* merge(
    replies.map((reply, index) => choiceChunks(call, chat, base, reply, index, itemAt(builders, index))),
  );
  if (!with_usage) return;
  const results = await Promise.all(replies.map(({ result }) => result));
  const n_reasoning = builders.reduce((sum, one) => sum + one.n_reasoning, 0);
  yield { data: { ...base, choices: [], usage: usageOf(results, 1, n_reasoning) } };
}

async function* choiceChunks(
  call: Call,
  chat: RunningChat,
  base: object,
  reply: Reply,
  index: number,
  message: MessageBuilder,
): AsyncGenerator<ServerEvent, void, undefined> {
  const chunk = (delta: object, rest: object = {}, extra: object = {}): ServerEvent => ({
    data: { ...base, choices: [{ index, delta, logprobs: null, finish_reason: null, ...rest }], ...extra },
  });
  // The role goes out with the first token: until then a request may still be refused in the queue.
  let has_begun = false;
  for await (const step of splitReply(reply, chat.conversation, () => call.firstToken())) {
    if (!has_begun) yield chunk({ role: "assistant", content: "", refusal: null });
    has_begun = true;
    const deltas = deltasOf(step, message);
    const extra = step.token === null ? {} : tokenExtra(call, chat, step);
    const rest =
      step.token !== null && chat.request.logprobs
        ? { logprobs: { content: [tokenLogprob(call.model, step.token)], refusal: null } }
        : {};
    if (deltas.length === 0 && ("logprobs" in rest || "capstan" in extra)) deltas.push({ content: "" });
    for (const [i, delta] of deltas.entries()) yield i === 0 ? chunk(delta, rest, extra) : chunk(delta);
  }
  const result = await reply.result;
  call.noteText("reply_text", result.text);
  call.count(result);
  const capstan = call.report(result);
  yield chunk({}, { finish_reason: message.finishReason(result) }, capstan === undefined ? {} : { capstan });
}

/** A token's projections, where they were asked for. */
function tokenExtra(call: Call, chat: RunningChat, { token }: ReplyStep): object {
  const read = chat.capstan?.projections && token !== null ? tokenReadings(token) : null;
  return read === null ? {} : { capstan: { cap: call.decision.cap, ...read } };
}

function deltasOf(step: ReplyStep, message: MessageBuilder): object[] {
  const n_before = message.tool_calls.length;
  message.add(step);
  let n = n_before;
  return step.parts.map((part) => {
    if (part.kind === "text") return { content: part.text };
    if (part.kind === "reasoning") return { reasoning_content: part.text };
    const made = itemAt(message.tool_calls, n);
    return { tool_calls: [{ index: n++, ...made }] };
  });
}
