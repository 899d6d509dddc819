import type { GenerateOptions, Model, Prompt, Reply } from "../types.ts";
import { checkModel } from "./check_model.ts";

/**
 * Writes a reply to a prompt, token by token. Any number of replies may run at once: they share batches.
 *
 * @param prompt a text (encoded as it is), token ids, or messages (through the chat template)
 * @returns an async iterable of tokens whose `result` gives the whole reply
 * @throws CapstanError at the call: `bad_request`, `bad_hook`, `context_overflow`, `tokenizer`, `busy`; from the
 *   iteration and `result`: `aborted`, `non_finite`, `out_of_memory`
 * @example
 * const reply = generate(model, [{ role: "user", content: "Hello" }], { temperature: 0 });
 * for await (const token of reply) write(token.text);
 * const { text, finish_reason } = await reply.result;
 */
export function generate(model: Model, prompt: Prompt, options?: GenerateOptions): Reply {
  checkModel(model, "generate");
  return model.generate(prompt, options);
}
