/**
 * Run transformer language models, read and bound their residual stream: load, generate, collect, fit, cap,
 * project, evaluate.
 *
 * @module capstan
 */
export { CapstanError, type ErrorCode, type Hook, type Site } from "../models/index.ts";
export { generate } from "./generate.ts";
export { pull } from "./hub/index.ts";
export { load } from "./load.ts";
export * from "./science/index.ts";
export { loadTokenizer } from "./tokenizer/index.ts";
export type * from "./types.ts";
