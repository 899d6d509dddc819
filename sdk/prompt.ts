import { CapstanError, show } from "../models/index.ts";
import { isIntegerArray, readTokenIds } from "./token_ids.ts";
import type { Message, Model, Prompt, TemplateArgs } from "./types.ts";

/**
 * The token ids of a prompt: text behind what the tokenizer begins a sequence with (`<s>` for
 * many models), ids checked and copied, a chat through the model's template.
 *
 * @throws CapstanError `bad_request` for an empty prompt or an id the model does not have
 */
export function promptTokens(model: Model, prompt: Prompt, template_args?: TemplateArgs): Int32Array {
  if (typeof prompt === "string") {
    return readTokenIds(model, model.tokenizer.encode(prompt, { add_special_tokens: true }), "a text");
  }
  if (!isIntegerArray(prompt)) throw badPrompt("a string, token ids or messages", show(prompt));
  if (prompt.length === 0) throw badPrompt("at least one token or message", "an empty list");
  if (typeof prompt[0] !== "object") return readTokenIds(model, prompt);
  const messages = prompt as unknown as readonly Message[];
  return readTokenIds(model, model.encodeChat(messages, template_args).tokens, "messages");
}

function badPrompt(need: string, found: string): CapstanError {
  return new CapstanError("bad_request", { action: "read the prompt", need, found });
}
