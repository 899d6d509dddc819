/**
 * Capped chat over HTTP: an OpenAI-compatible app for Node, Deno, workers and the browser.
 *
 * @module capstan/edge
 */
export { type AppOptions, createApp } from "./app.ts";
export type { ErrorBody } from "./errors.ts";
export type { Log, LogEntry } from "./log.ts";
export { type PolicyInput, policySchema, readPolicy } from "./policy/policy.ts";
export type { FindPageFile, PageFile } from "./routes/page.ts";
export type { GivenModel } from "./service/model_holder.ts";
export type { FindFile } from "./service/served_model.ts";
export { Service, type ServiceOptions } from "./service/service.ts";
