import { z } from "@hono/zod-openapi";
import { CAPSTAN_RESPONSE } from "./capstan.ts";
import type { ChatMessage, Tool } from "./chat.ts";
import { EXTENSION, RESPONSE_FORMAT, SAMPLING, WITHOUT_EFFECT } from "./sampling.ts";

/** `POST /v1/responses`, as OpenAI has it: text and calls of functions; nothing is kept between requests. */

const PART_TYPES = ["input_text", "output_text", "text"] as const;
const ANY_PART = z.looseObject({ type: z.enum(PART_TYPES), text: z.string() });
const PART = z
  .custom<{ type: (typeof PART_TYPES)[number]; text: string }>((part) => ANY_PART.safeParse(part).success, {
    error: 'a content part must be { "type": "input_text", "text": ... }: this model reads text alone',
  })
  .openapi({
    type: "object",
    required: ["type", "text"],
    properties: { type: { type: "string", enum: [...PART_TYPES] }, text: { type: "string" } },
  });

const MESSAGE_ITEM = z.object({
  type: z.literal("message").nullish(),
  role: z.enum(["system", "developer", "user", "assistant"]),
  content: z.union([z.string(), z.array(PART)]),
});
const CALL_ITEM = z.object({
  type: z.literal("function_call"),
  call_id: z.string().max(200),
  name: z.string().max(200),
  arguments: z.string(),
});
const OUTPUT_ITEM = z.object({
  type: z.literal("function_call_output"),
  call_id: z.string().max(200),
  output: z.string(),
});
const REASONING_ITEM = z.object({ type: z.literal("reasoning") });
const ITEM = z.union([MESSAGE_ITEM, CALL_ITEM, OUTPUT_ITEM, REASONING_ITEM]);

const FUNCTION = z.object({
  type: z.literal("function"),
  name: z.string().min(1).max(64),
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
  strict: z.boolean().nullish(),
});

const { n: _, stop: __, ...SAMPLED } = SAMPLING;

export const RESPONSES_REQUEST = z
  .strictObject({
    model: z.string().max(500).nullish(),
    input: z.union([z.string().min(1), z.array(ITEM).min(1).max(10_000)]),
    instructions: z.string().nullish(),
    ...SAMPLED,
    stream: z.boolean().nullish(),
    stream_options: z.object({ include_obfuscation: z.boolean().nullish() }).nullish(),
    max_output_tokens: z.int().min(1).nullish(),
    tools: z.array(FUNCTION).max(128).nullish(),
    tool_choice: z
      .union([z.enum(["none", "auto", "required"]), z.looseObject({ type: z.string() })])
      .nullish(),
    parallel_tool_calls: z.boolean().nullish(),
    text: z.object({ format: RESPONSE_FORMAT, verbosity: z.string().nullish() }).nullish(),
    reasoning: z.looseObject({}).nullish(),
    truncation: z.enum(["disabled", "auto"]).nullish(),
    include: z.array(z.string()).nullish(),
    background: z.literal(false).nullish(),
    previous_response_id: z.string().nullish(),
    conversation: z.unknown().nullish(),
    chat_template_kwargs: z.record(z.string().max(100), z.unknown()).nullish(),
    ...WITHOUT_EFFECT,
    ...EXTENSION,
  })
  .openapi("ResponsesRequest");

export type ResponsesRequest = z.output<typeof RESPONSES_REQUEST>;

const OUTPUT_TEXT = z.object({
  type: z.literal("output_text"),
  text: z.string(),
  annotations: z.array(z.unknown()),
});
const OUTPUT = z.union([
  z.object({
    type: z.literal("message"),
    id: z.string(),
    role: z.literal("assistant"),
    status: z.string(),
    content: z.array(OUTPUT_TEXT),
  }),
  CALL_ITEM.extend({ id: z.string(), status: z.string() }),
  z.object({
    type: z.literal("reasoning"),
    id: z.string(),
    summary: z.array(z.unknown()),
    content: z.array(z.object({ type: z.literal("reasoning_text"), text: z.string() })),
  }),
]);
export type OutputItem = z.output<typeof OUTPUT>;

const USAGE = z.object({
  input_tokens: z.int(),
  input_tokens_details: z.object({ cached_tokens: z.int() }),
  output_tokens: z.int(),
  output_tokens_details: z.object({ reasoning_tokens: z.int() }),
  total_tokens: z.int(),
});

export const RESPONSES_RESPONSE = z
  .looseObject({
    id: z.string(),
    object: z.literal("response"),
    created_at: z.int(),
    status: z.enum(["in_progress", "completed", "incomplete", "failed"]),
    error: z.null(),
    incomplete_details: z.object({ reason: z.literal("max_output_tokens") }).nullable(),
    model: z.string(),
    output: z.array(OUTPUT),
    usage: USAGE.nullable(),
    capstan: CAPSTAN_RESPONSE.optional(),
  })
  .openapi("Response");

export type ResponsesResponse = z.output<typeof RESPONSES_RESPONSE>;

/** The input as the messages of a chat. */
export function messagesOf({ input, instructions }: ResponsesRequest): ChatMessage[] {
  const first: ChatMessage[] = instructions ? [{ role: "system", content: instructions }] : [];
  if (typeof input === "string") return [...first, { role: "user", content: input }];
  const messages = first;
  for (const item of input) {
    if ("role" in item) messages.push({ role: item.role, content: textOf(item.content) } as ChatMessage);
    else if (item.type === "function_call_output")
      messages.push({ role: "tool", content: item.output, tool_call_id: item.call_id });
    else if (item.type === "function_call") addCall(messages, item);
  }
  return messages;
}

/** Calls that follow one another are of one turn. */
function addCall(
  messages: ChatMessage[],
  { call_id, name, arguments: args }: z.output<typeof CALL_ITEM>,
): void {
  const call = { id: call_id, type: "function" as const, function: { name, arguments: args } };
  const last = messages.at(-1);
  if (last?.role === "assistant") last.tool_calls = [...(last.tool_calls ?? []), call];
  else messages.push({ role: "assistant", content: null, tool_calls: [call] });
}

function textOf(content: string | readonly { text: string }[]): string {
  return typeof content === "string" ? content : content.map(({ text }) => text).join("");
}

/** Functions in the form that chat templates read. */
export function toolsOf({ tools }: ResponsesRequest): Tool[] {
  return (tools ?? []).map(({ type, strict: _, ...rest }) => ({ type, function: rest }));
}
