/** Text to token ids and back, and chats by the model's own template. What does it is read with the first tokenizer. */
import type { FileSource, Tokenizer } from "../types.ts";

export { contentText } from "./chat/content.ts";
export { checkRoles } from "./chat/roles.ts";
export { streamDecoder } from "./stream/stream.ts";

/**
 * Loads a tokenizer from a model's folder or another source: tokenizer.json, and where they are there
 * tokenizer_config.json, chat_template.jinja and the files of older versions that name special tokens.
 *
 * What tokenizer.json says of truncation, padding and dropout is not heeded: they are for training.
 *
 * @param source what `load` takes: a folder, the embedded model's name, or a file source
 * @throws CapstanError `tokenizer` where there is none or its parts cannot work, `bad_file` for a damaged file,
 *   `not_found` for a missing folder
 * @example
 * const tokenizer = await loadTokenizer("capstan-tiny");
 * tokenizer.decode(tokenizer.encode("Hello")); // "Hello"
 */
export async function loadTokenizer(source: string | URL | FileSource): Promise<Tokenizer> {
  const { loadTokenizer: run } = await import("./load.ts");
  return await run(source);
}

/**
 * The tokenizer of a model that is being loaded. A model works on token ids without one, so what is wrong with it is
 * kept for its first use.
 */
export async function loadModelTokenizer(files: FileSource): Promise<Tokenizer> {
  const { loadModelTokenizer: run } = await import("./load.ts");
  return await run(files);
}
