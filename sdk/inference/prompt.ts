import { CapstanError, show } from "../../models/index.ts";
import { isIntegerArray, readTokenIds } from "../common/token_ids.ts";
import type { GenerateOptions, Message, Model, Prompt } from "../types.ts";

/** How a prompt is read. */
export type PromptOptions = Pick<GenerateOptions, "special" | "continue_final_message" | "template_args">;

/**
 * The token ids of a prompt: text behind what the tokenizer begins a sequence with (`<s>` for many models; not twice),
 * ids checked and copied, a chat through the model's template.
 *
 * @throws CapstanError `bad_request` for an empty prompt, an id that the model does not have, a chat that ends with
 *   the assistant's message and is not to be continued
 */
export function promptTokens(model: Model, prompt: Prompt, options: PromptOptions = {}): Int32Array {
  if (typeof prompt === "string") return textTokens(model, prompt, options.special ?? "text");
  if (!isIntegerArray(prompt)) throw badPrompt("a string, token ids or messages", show(prompt));
  if (prompt.length === 0) throw badPrompt("at least one token or message", "an empty list");
  if (typeof prompt[0] !== "object") return readTokenIds(model, prompt);
  return chatTokens(model, prompt as unknown as readonly Message[], options);
}

function textTokens(model: Model, text: string, special: "text" | "parse"): Int32Array {
  const { tokenizer } = model;
  const framed = tokenizer.encode(text, { special, add_special_tokens: true });
  if (special === "text") return readTokenIds(model, framed, "a text");
  // A text that was rendered by a template may begin with <s> already.
  const plain = tokenizer.encode(text, { special });
  const n_before = startOf(plain, framed);
  const is_doubled =
    n_before > 0 && plain.length >= n_before && startOf(framed.subarray(0, n_before), plain) === 0;
  return readTokenIds(model, is_doubled ? framed.subarray(n_before) : framed, "a text");
}

/** Where `part` begins in `whole`; -1 where it does not. */
function startOf(part: Int32Array, whole: Int32Array): number {
  for (let at = 0; at + part.length <= whole.length; at++) {
    if (part.every((id, i) => whole[at + i] === id)) return at;
  }
  return -1;
}

function chatTokens(model: Model, messages: readonly Message[], options: PromptOptions): Int32Array {
  const { template_args = {}, continue_final_message } = options;
  const args =
    continue_final_message === undefined ? template_args : { ...template_args, continue_final_message };
  const opens_turn = args.add_generation_prompt === true;
  if (messages.at(-1)?.role === "assistant" && !opens_turn && !args.continue_final_message) {
    throw new CapstanError("bad_request", {
      action: "read the prompt",
      need: "a chat that ends with a message to answer",
      found: "the assistant's own at its end",
      fix: "continue_final_message: true goes on with it.",
    });
  }
  return readTokenIds(model, model.encodeChat(messages, args).tokens, "messages");
}

function badPrompt(need: string, found: string): CapstanError {
  return new CapstanError("bad_request", { action: "read the prompt", need, found });
}
