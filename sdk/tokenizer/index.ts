/** Text to token ids and back, and chats by the model's own template. */
export { contentText } from "./content.ts";
export { loadModelTokenizer, loadTokenizer } from "./load.ts";
export { streamDecoder } from "./stream.ts";
export { templateReads } from "./template_use.ts";
