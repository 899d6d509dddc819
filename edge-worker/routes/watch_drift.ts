import { itemAt } from "../../models/certain.ts";
import type { GenerateOptions, Reply } from "../../sdk/types.ts";
import { violation } from "../errors.ts";
import { DriftReader, type DriftReport } from "../policy/drift.ts";
import type { CapstanRequest } from "../wire/capstan.ts";
import { raiseAlert } from "./alerts.ts";
import type { Call } from "./call.ts";
import type { Conversation } from "./conversation.ts";

/**
 * Begins the replies to a conversation, each with its own options. Where drift is watched, the assistant's earlier turns are
 * projected on the way, and what the policy says of them is done: a cap that it switches on acts on the whole of the replies.
 * They are read as the replies' prompt is, at no further pass, unless a hook acts before the axis's layer.
 *
 * @throws ApiError 403 on `stop`
 */
export async function beginReplies(
  call: Call,
  conversation: Conversation,
  request: CapstanRequest | undefined,
  options: readonly GenerateOptions[],
): Promise<Reply[]> {
  const { messages, options: of_chat } = conversation;
  const plain = () => options.map((one) => call.generate(messages, { ...of_chat, ...one }));
  const is_watched = call.served.rules.drift !== undefined || request?.drift === true;
  const reader = is_watched ? DriftReader.of(call.served, messages) : null;
  if (reader === null) return plain();
  const { model } = call;
  const probe = reader.probe(model, call.read.hooks);
  if (probe === null) {
    follow(call, await reader.apart(model, call.asked_by));
    return plain();
  }
  const { template_args, continue_final_message } = of_chat;
  const encoded = model.encodeChat(messages, {
    ...template_args,
    ...(continue_final_message === undefined ? {} : { continue_final_message }),
  });
  const replies = options.map((one, i) =>
    call.generate(encoded.tokens, { ...one, prompt_projections: i === 0 }, [probe]),
  );
  const before = call.read;
  follow(call, reader.fromPrompt(encoded, await itemAt(replies, 0).prompt_projections));
  if (call.read === before) return replies;
  // Under another cap: what was begun is dropped.
  for (const reply of replies) await reply[Symbol.asyncIterator]().return?.();
  return plain();
}

/** Does what the policy says of a conversation's turns. */
function follow(call: Call, report: DriftReport): void {
  const { rules, name } = call.served;
  call.drift = report;
  const last = report.turns.findLast(({ drift }) => drift !== null);
  if (last?.drift != null) call.c.header("x-capstan-drift", last.drift.toFixed(4));
  if (report.action === null) return;
  raiseAlert(call, report);
  call.c.header("x-capstan-alert", report.action);
  if (report.action === "stop") {
    throw violation(
      "The conversation has drifted too far from the Assistant.",
      `models.${name}.drift`,
      "messages",
    );
  }
  if (report.action === "cap") call.addCap((rules.drift?.cap ?? rules.default_cap)!);
}
