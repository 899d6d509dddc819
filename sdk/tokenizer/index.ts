/** Text to token ids and back, and chats by the model's own template. */
export { loadTokenizer } from "./load.ts";
export { StreamDecoder } from "./stream.ts";
export { missingTokenizer } from "./tokenizer.ts";
