/** Text to token ids and back, and chats by the model's own template. */
export { loadModelTokenizer, loadTokenizer } from "./load.ts";
export { streamDecoder } from "./stream.ts";
