import type { GeneratedToken, GenerateOptions, GenerateResult, Reply } from "../../sdk/types.ts";
import { violation } from "../errors.ts";
import { mostTokens } from "../policy/decide.ts";
import { makeId } from "../wire/ids.ts";
import { type ReplyPart, ReplySplitter } from "../wire/split_reply.ts";
import type { Call } from "./call.ts";
import type { Conversation } from "./conversation.ts";

/** A token of a reply, with the parts that became certain by it; none at the end, where the rest comes. */
export interface ReplyStep {
  token: GeneratedToken | null;
  parts: ReplyPart[];
}

/** The number of replies that a request asks for. @throws ApiError 403 beyond the policy's bound */
export function numberOfReplies(call: Call, n: number | null | undefined, n_prompts = 1): number {
  const { max_n } = call.c.var.state.policy.limits;
  const asked = n ?? 1;
  if (asked * n_prompts <= max_n) return asked;
  throw violation(`At most ${max_n} replies to a request are allowed.`, "limits.max_n", "n");
}

/** `max_tokens` under the policy, by whichever name it came. */
export function replyLength(
  call: Call,
  asked: number | null | undefined,
  param: string,
): Pick<GenerateOptions, "max_tokens"> {
  const { policy } = call.c.var.state;
  const most = mostTokens(policy, call.c.var.client, asked ?? undefined, param);
  return most === undefined ? {} : { max_tokens: most };
}

/** A reply's tokens, taken apart. */
export async function* splitReply(
  reply: Reply,
  { split, opening }: Conversation,
  onFirst: () => void,
): AsyncGenerator<ReplyStep, void, undefined> {
  const splitter = new ReplySplitter(split);
  let is_first = true;
  for await (const token of reply) {
    if (is_first) onFirst();
    is_first = false;
    const is_hidden = opening !== null && token.id === opening.id && !token.text.includes(opening.text);
    yield { token, parts: splitter.push(is_hidden ? opening.text + token.text : token.text) };
  }
  yield { token: null, parts: splitter.flush() };
}

/** A message as it is put together from the parts of its reply. */
export class MessageBuilder {
  content = "";
  reasoning = "";
  n_reasoning = 0;
  readonly tool_calls: { id: string; type: "function"; function: { name: string; arguments: string } }[] = [];

  add({ token, parts }: ReplyStep): void {
    for (const part of parts) {
      if (part.kind === "text") this.content += part.text;
      else if (part.kind === "reasoning") this.reasoning += part.text;
      else if (part.kind === "tool_call") this.#addCall(part);
    }
    if (token !== null && this.content === "" && this.tool_calls.length === 0 && this.reasoning !== "")
      this.n_reasoning++;
  }

  #addCall({ name, arguments: args }: { name: string; arguments: string }): void {
    this.tool_calls.push({ id: makeId("call_"), type: "function", function: { name, arguments: args } });
  }

  finishReason({ finish_reason }: GenerateResult): "stop" | "length" | "tool_calls" {
    if (finish_reason === "length") return "length";
    return this.tool_calls.length > 0 ? "tool_calls" : "stop";
  }
}
