import { promptTokens } from "../../sdk/inference/prompt.ts";
import { badRequest } from "../errors.ts";
import { checkTokenIds } from "../wire/sampling.ts";
import type { Call } from "./call.ts";

/** Texts and token ids as the model reads them, for the endpoints without a chat template. */

/**
 * @param special whether control tokens in a text are tokens
 * @throws ApiError 400 for ids that are not the model's, and for more than its context holds
 */
export function readPrompt(
  { model, param }: Call,
  prompt: string | number[],
  special: "text" | "parse" = "text",
): Int32Array {
  if (typeof prompt !== "string") checkTokenIds(model, prompt, param);
  const tokens = promptTokens(model, prompt, { special });
  if (tokens.length <= model.n_ctx) return tokens;
  const message = `This model's context is ${model.n_ctx} tokens; '${param}' has ${tokens.length}.`;
  throw badRequest(message, param, "context_length_exceeded");
}
