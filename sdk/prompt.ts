import { CapstanError, show } from "../models/index.ts";
import type { Message, Model, Prompt, TemplateArgs } from "./types.ts";

/**
 * The token ids of a prompt: text behind what the tokenizer begins a sequence with (`<s>` for
 * many models), ids checked, a chat through the model's template.
 *
 * @throws CapstanError `bad_request` for an empty prompt or an id the model does not have
 */
export function promptTokens(model: Model, prompt: Prompt, template_args?: TemplateArgs): Int32Array {
  if (typeof prompt === "string") {
    return checkTokens(model, model.tokenizer.encode(prompt, { add_special_tokens: true }), "a text");
  }
  if (prompt instanceof Int32Array) return checkTokens(model, prompt, "token ids");
  if (!Array.isArray(prompt)) throw badPrompt("a string, token ids or messages", show(prompt));
  if (prompt.length === 0) throw badPrompt("at least one token or message", "an empty list");
  if (typeof prompt[0] === "number") return checkTokens(model, prompt as number[], "token ids");
  return checkTokens(model, model.encodeChat(prompt as readonly Message[], template_args).tokens, "messages");
}

/** Checks that ids are some, whole and the model's. */
export function checkTokens(model: Model, tokens: ArrayLike<number>, what = "token ids"): Int32Array {
  if (tokens.length === 0) throw badPrompt("at least one token", `${what} with none`);
  const { d_vocab } = model.spec;
  for (let i = 0; i < tokens.length; i++) {
    const id = tokens[i]!;
    if (!Number.isInteger(id) || id < 0 || id >= d_vocab) {
      throw badPrompt(`token ids from 0 to ${d_vocab - 1}`, `${show(id)} at index ${i}`);
    }
  }
  return tokens instanceof Int32Array ? tokens : Int32Array.from(tokens);
}

function badPrompt(need: string, found: string): CapstanError {
  return new CapstanError("bad_request", { action: "read the prompt", need, found });
}
