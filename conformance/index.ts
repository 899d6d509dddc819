/**
 * The proof that a device computes what the reference computes (`capstan/conformance`).
 *
 * @module capstan/conformance
 */
export { relativeBound } from "./bounds.ts";
export { type CheckOptions, checkCase, checkCases } from "./check/index.ts";
export type * from "./check/report.ts";
export { createTruthDevice } from "./truth/index.ts";
