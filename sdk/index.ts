/**
 * Run transformer language models, read and bound their residual stream: load, generate, collect, fit, cap,
 * project, evaluate.
 *
 * @module capstan
 */
export { CapstanError, type ErrorCode, type Hook, type Site } from "../models/index.ts";
export { pull } from "./checkpoint/hub/index.ts";
export { generate } from "./inference/generate.ts";
export { load } from "./inference/load.ts";
export * from "./science/index.ts";
export { loadTokenizer } from "./text/index.ts";
export type * from "./types.ts";
