import { lastOf } from "../../models/certain.ts";
import { templateReads } from "../../sdk/text/chat/template_use.ts";
import type { GenerateOptions, Message, Model, TemplateArgs } from "../../sdk/types.ts";
import { badRequest } from "../errors.ts";
import type { ChatMessage, Tool } from "../wire/chat.ts";
import { openingOf, type SplitOptions, toolStyleOf } from "../wire/split_reply.ts";

/** A chat as the engine takes it, and how its reply is taken apart: for both APIs of chats. */
export interface Conversation {
  messages: Message[];
  options: Pick<GenerateOptions, "template_args" | "continue_final_message">;
  split: SplitOptions;
  /** The control token that begins tool calls, where the vocabulary has it as one. */
  opening: { id: number; text: string } | null;
}

export interface ConversationRequest {
  messages: readonly ChatMessage[];
  tools?: readonly Tool[] | null | undefined;
  tool_choice?: string | { type: string } | null | undefined;
  chat_template_kwargs?: Record<string, unknown> | null | undefined;
  continue_final_message?: boolean | null | undefined;
  add_generation_prompt?: boolean | null | undefined;
}

/** Arguments of a template that are not the client's to set. */
const RESERVED = [
  "messages",
  "tools",
  "documents",
  "add_generation_prompt",
  "continue_final_message",
  "bos_token",
  "eos_token",
];

/** @throws ApiError 400 for what the model's template cannot say, and for what the engine cannot do */
export function readConversation(model: Model, request: ConversationRequest): Conversation {
  const messages = request.messages.map(asMessage);
  const tools = readTools(model, request);
  const args = readArgs(request, tools);
  const is_continued = request.continue_final_message === true;
  // An assistant's message at the end is answered by another of its own, unless it is to be continued.
  if (!is_continued && lastOf(messages).role === "assistant") args.add_generation_prompt = true;
  const template = model.tokenizer.chat_template ?? "";
  const style = tools === null ? null : toolStyleOf(template);
  const id = style === null ? undefined : model.tokenizer.tokenId(openingOf(style));
  return {
    messages,
    options: { template_args: args, ...(is_continued ? { continue_final_message: true } : {}) },
    split: {
      reasoning: reasoningOf(model, messages, { ...args, continue_final_message: is_continued }),
      tools: style,
    },
    opening: style === null || id === undefined ? null : { id, text: openingOf(style) },
  };
}

function readArgs(request: ConversationRequest, tools: unknown[] | null): TemplateArgs {
  const given = request.chat_template_kwargs ?? {};
  const reserved = RESERVED.find((name) => Object.hasOwn(given, name));
  if (reserved !== undefined) {
    const param = `chat_template_kwargs.${reserved}`;
    throw badRequest(`'${reserved}' is not an argument that a request may set.`, param);
  }
  const opens = request.add_generation_prompt ?? null;
  return {
    ...given,
    ...(opens === null ? {} : { add_generation_prompt: opens }),
    ...(tools === null ? {} : { tools }),
  };
}

function readTools(model: Model, { tools, tool_choice }: ConversationRequest): unknown[] | null {
  if (typeof tool_choice === "object" && tool_choice !== null) throw forced("a named function");
  if (tool_choice === "required") throw forced('"required"');
  if (!tools?.length || tool_choice === "none") return null;
  const template = model.tokenizer.chat_template;
  if (template === null || !templateReads(template, "tools"))
    throw badRequest("This model's chat template has no place for tools.", "tools", "unsupported_value");
  return [...tools];
}

function forced(choice: string) {
  const message = `tool_choice of ${choice} is not supported: this engine does not constrain its output yet. Use "auto" or "none".`;
  return badRequest(message, "tool_choice", "unsupported_value");
}

function reasoningOf(
  model: Model,
  messages: readonly Message[],
  args: TemplateArgs,
): SplitOptions["reasoning"] {
  const template = model.tokenizer.chat_template ?? "";
  if (!template.includes("<think>")) return "none";
  const prompt = model.tokenizer.renderChat(messages, args).trimEnd();
  return prompt.endsWith("<think>") ? "inside" : "looked for";
}

/** A message with the fields that templates read, and none that is null. */
function asMessage(message: ChatMessage): Message {
  const { role } = message;
  const name = "name" in message && message.name ? { name: message.name } : {};
  if (role === "tool") return { role, content: message.content, tool_call_id: message.tool_call_id };
  // Templates know "developer" by its older name.
  if (role !== "assistant")
    return { role: role === "developer" ? "system" : role, content: message.content, ...name };
  const { content, refusal, reasoning_content, tool_calls } = message;
  const parts = Array.isArray(content)
    ? content.map((part) => ({
        type: "text" as const,
        text: part.type === "text" ? part.text : part.refusal,
      }))
    : (content ?? refusal ?? "");
  return {
    role,
    content: parts,
    ...name,
    ...(reasoning_content ? { reasoning_content } : {}),
    ...(tool_calls?.length ? { tool_calls: tool_calls.map(asToolCall) } : {}),
  };
}

/** Templates write arguments as JSON themselves: they are given the object. */
function asToolCall(call: NonNullable<Extract<ChatMessage, { role: "assistant" }>["tool_calls"]>[number]) {
  return { ...call, function: { ...call.function, arguments: asObject(call.function.arguments) } };
}

function asObject(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : text;
  } catch {
    return text;
  }
}
