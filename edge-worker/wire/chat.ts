import { z } from "@hono/zod-openapi";
import { CAPSTAN_RESPONSE } from "./capstan.ts";
import { EXTENSION, RESPONSE_FORMAT, SAMPLING, STREAM, WITHOUT_EFFECT } from "./sampling.ts";

/** `POST /v1/chat/completions`, as OpenAI has it. */

const TEXT_PART = z.strictObject({ type: z.literal("text"), text: z.string() });
const REFUSAL_PART = z.strictObject({ type: z.literal("refusal"), refusal: z.string() });

const ANY_TEXT_PART = z
  .custom<z.input<typeof TEXT_PART>>((part) => TEXT_PART.safeParse(part).success, {
    error: 'a content part must be { "type": "text", "text": ... }: this model reads text alone',
  })
  .openapi({
    type: "object",
    required: ["type", "text"],
    properties: { type: { type: "string", enum: ["text"] }, text: { type: "string" } },
  });

const text_content = z.union([z.string(), z.array(ANY_TEXT_PART)]);

const TOOL_CALL = z.object({
  id: z.string().max(200),
  type: z.literal("function").default("function"),
  function: z.object({ name: z.string().max(200), arguments: z.string() }),
});

// Fields beside these do not reach the template.
const MESSAGE = z
  .discriminatedUnion("role", [
    z.object({ role: z.literal("system"), content: text_content, name: z.string().nullish() }),
    z.object({ role: z.literal("developer"), content: text_content, name: z.string().nullish() }),
    z.object({ role: z.literal("user"), content: text_content, name: z.string().nullish() }),
    z.object({
      role: z.literal("assistant"),
      content: z.union([z.string(), z.array(z.union([TEXT_PART, REFUSAL_PART]))]).nullish(),
      name: z.string().nullish(),
      refusal: z.string().nullish(),
      reasoning_content: z.string().nullish(),
      tool_calls: z.array(TOOL_CALL).max(128).nullish(),
    }),
    z.object({ role: z.literal("tool"), content: text_content, tool_call_id: z.string().max(200) }),
  ])
  .openapi("ChatMessage");

export type ChatMessage = z.output<typeof MESSAGE>;

export const TOOL = z
  .object({
    type: z.literal("function"),
    function: z.object({
      name: z.string().min(1).max(64),
      description: z.string().nullish(),
      parameters: z.record(z.string(), z.unknown()).nullish(),
      strict: z.boolean().nullish(),
    }),
  })
  .openapi("Tool");

export type Tool = z.output<typeof TOOL>;

export const CHAT_REQUEST = z
  .strictObject({
    model: z.string().max(500).nullish(),
    messages: z.array(MESSAGE).min(1).max(10_000),
    ...SAMPLING,
    ...STREAM,
    max_tokens: z.int().min(1).nullish(),
    max_completion_tokens: z.int().min(1).nullish(),
    logprobs: z.boolean().nullish(),
    top_logprobs: z.int().min(0).max(20).nullish(),
    tools: z.array(TOOL).max(128).nullish(),
    tool_choice: z
      .union([z.enum(["none", "auto", "required"]), z.looseObject({ type: z.string() })])
      .nullish(),
    parallel_tool_calls: z.boolean().nullish(),
    response_format: RESPONSE_FORMAT,
    reasoning_effort: z.string().nullish(),
    verbosity: z.string().nullish(),
    modalities: z.array(z.literal("text")).nullish(),
    chat_template_kwargs: z
      .record(z.string().max(100), z.unknown())
      .nullish()
      .openapi({ description: "Further arguments of the chat template (`enable_thinking`). Not of OpenAI." }),
    continue_final_message: z
      .boolean()
      .nullish()
      .openapi({ description: "Goes on with the assistant's last message. Not of OpenAI." }),
    add_generation_prompt: z.boolean().nullish().openapi({ description: "Not of OpenAI." }),
    ...WITHOUT_EFFECT,
    ...EXTENSION,
  })
  .openapi("ChatCompletionRequest");

export type ChatRequest = z.output<typeof CHAT_REQUEST>;

const TOP_LOGPROB = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()).nullable() });
const LOGPROBS = z
  .object({
    content: z.array(TOP_LOGPROB.extend({ top_logprobs: z.array(TOP_LOGPROB) })),
    refusal: z.null(),
  })
  .nullable();
export type TokenLogprob = NonNullable<z.output<typeof LOGPROBS>>["content"][number];

export const FINISH_REASON = z.enum(["stop", "length", "tool_calls"]);
export type FinishReason = z.output<typeof FINISH_REASON>;

export const USAGE = z
  .object({
    prompt_tokens: z.int(),
    completion_tokens: z.int(),
    total_tokens: z.int(),
    prompt_tokens_details: z.object({ cached_tokens: z.int() }),
    completion_tokens_details: z.object({ reasoning_tokens: z.int() }),
  })
  .openapi("Usage");
export type Usage = z.output<typeof USAGE>;

export const CHAT_RESPONSE = z
  .object({
    id: z.string(),
    object: z.literal("chat.completion"),
    created: z.int(),
    model: z.string(),
    system_fingerprint: z.string(),
    choices: z.array(
      z.object({
        index: z.int(),
        message: z.object({
          role: z.literal("assistant"),
          content: z.string().nullable(),
          refusal: z.null(),
          reasoning_content: z.string().optional(),
          tool_calls: z.array(TOOL_CALL).optional(),
        }),
        logprobs: LOGPROBS,
        finish_reason: FINISH_REASON,
        capstan: CAPSTAN_RESPONSE.optional(),
      }),
    ),
    usage: USAGE,
    capstan: CAPSTAN_RESPONSE.optional(),
  })
  .openapi("ChatCompletion");
export type ChatResponse = z.output<typeof CHAT_RESPONSE>;
export type ChatChoice = ChatResponse["choices"][number];
