/** Text to token ids and back, and chats by the model's own template. */
export { contentText } from "./chat/content.ts";
export { templateReads } from "./chat/template_use.ts";
export { loadModelTokenizer, loadTokenizer } from "./load.ts";
export { streamDecoder } from "./stream/stream.ts";
