/** Tokenizers: the official Rust crate in WebAssembly, a module of its own beside the engine's. */
export { loadText, type TextModule, type TokenizerFile, textUrl } from "./module.ts";
export type { AddedTokenPlace, OpenTokenizer, TokenPlaces } from "./tokenizer.ts";
