import { itemAt, lastOf } from "../../models/certain.ts";
import type { GenerateResult, Reply } from "../../sdk/types.ts";
import { badRequest } from "../errors.ts";
import { readBody } from "../wire/body.ts";
import type { CapstanRequest } from "../wire/capstan.ts";
import { makeId, unixSeconds } from "../wire/ids.ts";
import {
  messagesOf,
  type OutputItem,
  RESPONSES_REQUEST,
  type ResponsesRequest,
  type ResponsesResponse,
  toolsOf,
} from "../wire/responses.ts";
import { checkResponseFormat, samplingOptions } from "../wire/sampling.ts";
import type { ReplyPart } from "../wire/split_reply.ts";
import type { ServerEvent } from "../wire/sse.ts";
import { usageOf } from "../wire/tokens.ts";
import { Call } from "./call.ts";
import type { App, Shared } from "./context.ts";
import { type Conversation, readConversation } from "./conversation.ts";
import { MessageBuilder, replyLength, splitReply } from "./replies.ts";
import { beginReplies } from "./watch_drift.ts";

/** `POST /v1/responses`. It keeps nothing: each request brings its whole conversation. */
export function addResponses(app: App, shared: Shared): void {
  app.post("/v1/responses", async (c) => {
    const request = await readBody(c.req.raw, RESPONSES_REQUEST, c.var.state.policy.limits.max_body_bytes);
    checkFields(request);
    const call = await Call.open(c, shared, "input", request);
    if (request.stream !== true)
      return await call.answer(async () => {
        const run = await begin(call, request);
        let response = run.response;
        for await (const { data } of events(call, run)) {
          const event = data as { response?: ResponsesResponse };
          response = event.response ?? response;
        }
        return c.json(response);
      });
    try {
      return call.stream(events(call, await begin(call, request)), null);
    } catch (error) {
      throw call.fail(error);
    }
  });
}

function checkFields(request: ResponsesRequest): void {
  checkResponseFormat(request.text?.format, "text.format");
  for (const name of ["previous_response_id", "conversation"] as const) {
    if (request[name] == null) continue;
    throw badRequest(
      `'${name}' is not supported: this server keeps no conversations.`,
      name,
      "unsupported_value",
    );
  }
}

interface RunningResponse {
  reply: Reply;
  conversation: Conversation;
  response: ResponsesResponse;
}

async function begin(call: Call, request: ResponsesRequest): Promise<RunningResponse> {
  const conversation = readConversation(call.model, {
    messages: messagesOf(request),
    tools: toolsOf(request),
    tool_choice: request.tool_choice,
    chat_template_kwargs: request.chat_template_kwargs,
  });
  const capstan: CapstanRequest | undefined = request.capstan ?? undefined;
  const options = {
    ...replyLength(call, request.max_output_tokens, "max_output_tokens"),
    ...samplingOptions(call.model, request, 0),
  };
  const [reply] = (await beginReplies(call, conversation, capstan, [options])) as [Reply];
  call.noteText("request_text", JSON.stringify(conversation.messages));
  return { reply, conversation, response: emptyResponse(call, request) };
}

function emptyResponse(call: Call, request: ResponsesRequest): ResponsesResponse {
  return {
    id: makeId("resp_"),
    object: "response",
    created_at: unixSeconds(),
    status: "in_progress",
    error: null,
    incomplete_details: null,
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    model: call.served.name,
    output: [],
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    store: false,
    temperature: request.temperature ?? null,
    text: { format: { type: "text" } },
    tool_choice: request.tool_choice ?? "auto",
    tools: request.tools ?? [],
    top_p: request.top_p ?? null,
    truncation: "disabled",
    usage: null,
    metadata: request.metadata ?? {},
  };
}

/** The events of a response, from `response.created` to `response.completed` (or `incomplete`, at its longest). */
async function* events(call: Call, run: RunningResponse): AsyncGenerator<ServerEvent, void, undefined> {
  const { reply, conversation, response } = run;
  const writer = new EventWriter();
  const message = new MessageBuilder();
  let has_begun = false;
  const begin = () => [
    writer.event("response.created", { response }),
    writer.event("response.in_progress", { response }),
  ];
  for await (const step of splitReply(reply, conversation, () => call.firstToken())) {
    if (!has_begun) yield* begin();
    has_begun = true;
    message.add(step);
    for (const part of step.parts) yield* writer.part(part);
  }
  const result = await reply.result;
  call.noteText("reply_text", result.text);
  call.count(result);
  const status = result.finish_reason === "length" ? "incomplete" : "completed";
  yield* writer.close(status);
  if (writer.output.length === 0) {
    yield* writer.part({ kind: "text", text: "" });
    yield* writer.close(status);
  }
  const capstan = call.report(result);
  const ended: ResponsesResponse = {
    ...response,
    status,
    incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
    output: writer.output,
    usage: usageOfResponse(result, message.n_reasoning),
    ...(capstan === undefined ? {} : { capstan }),
  };
  yield writer.event(`response.${status}`, { response: ended });
}

function usageOfResponse(result: GenerateResult, n_reasoning: number): ResponsesResponse["usage"] {
  const usage = usageOf([result], 1, n_reasoning);
  return {
    input_tokens: usage.prompt_tokens,
    input_tokens_details: usage.prompt_tokens_details,
    output_tokens: usage.completion_tokens,
    output_tokens_details: usage.completion_tokens_details,
    total_tokens: usage.total_tokens,
  };
}

/** Writes the output items of a response, one after the other, with the events that clients follow them by. */
class EventWriter {
  readonly output: OutputItem[] = [];
  #n_events = 0;
  #open: "text" | "reasoning" | null = null;

  event(type: string, fields: object): ServerEvent {
    return { event: type, data: { type, sequence_number: this.#n_events++, ...fields } };
  }

  *part(part: ReplyPart): Generator<ServerEvent> {
    if (part.kind === "tool_call") {
      yield* this.close("completed");
      yield* this.#call(part);
      return;
    }
    if (this.#open !== part.kind) {
      yield* this.close("completed");
      yield* this.#openItem(part.kind);
    }
    const item = lastOf(this.output);
    const content = "content" in item ? item.content[0]! : { text: "" };
    content.text += part.text;
    const type = part.kind === "text" ? "response.output_text.delta" : "response.reasoning_text.delta";
    if (part.text !== "") yield this.event(type, { ...this.#place(), delta: part.text, logprobs: [] });
  }

  /** Closes the item that is open. */
  *close(status: "completed" | "incomplete"): Generator<ServerEvent> {
    if (this.#open === null) return;
    const item = lastOf(this.output);
    const [content] = "content" in item ? item.content : [];
    const name = this.#open === "text" ? "response.output_text.done" : "response.reasoning_text.done";
    yield this.event(name, { ...this.#place(), text: content?.text ?? "", logprobs: [] });
    if (this.#open === "text")
      yield this.event("response.content_part.done", { ...this.#place(), part: content });
    if ("status" in item) item.status = status;
    yield this.event("response.output_item.done", { output_index: this.output.length - 1, item });
    this.#open = null;
  }

  *#openItem(kind: "text" | "reasoning"): Generator<ServerEvent> {
    const part = { type: "output_text" as const, text: "", annotations: [] };
    const item: OutputItem =
      kind === "text"
        ? { type: "message", id: makeId("msg_"), role: "assistant", status: "in_progress", content: [part] }
        : {
            type: "reasoning",
            id: makeId("rs_"),
            summary: [],
            content: [{ type: "reasoning_text", text: "" }],
          };
    this.output.push(item);
    this.#open = kind;
    const shown = { ...item, content: [] };
    yield this.event("response.output_item.added", { output_index: this.output.length - 1, item: shown });
    if (kind === "text")
      yield this.event("response.content_part.added", { ...this.#place(), part: { ...part } });
  }

  *#call({ name, arguments: args }: { name: string; arguments: string }): Generator<ServerEvent> {
    const id = makeId("fc_");
    const item: OutputItem = {
      type: "function_call",
      id,
      call_id: makeId("call_"),
      name,
      arguments: args,
      status: "completed",
    };
    this.output.push(item);
    const output_index = this.output.length - 1;
    yield this.event("response.output_item.added", {
      output_index,
      item: { ...item, arguments: "", status: "in_progress" },
    });
    yield this.event("response.function_call_arguments.delta", { item_id: id, output_index, delta: args });
    yield this.event("response.function_call_arguments.done", {
      item_id: id,
      output_index,
      name,
      arguments: args,
    });
    yield this.event("response.output_item.done", { output_index, item });
  }

  #place(): { item_id: string; output_index: number; content_index: number } {
    const output_index = this.output.length - 1;
    return { item_id: itemAt(this.output, output_index).id, output_index, content_index: 0 };
  }
}
