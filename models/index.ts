/** What a decoder is, as data, and what a device owes it (`capstan/models`). */
export {
  type Architecture,
  addArchitecture,
  knownArchitectures,
  readDecoder,
} from "./architectures/index.ts";
export { concatBytes, concatFloats } from "./arrays.ts";
export { buildProgram } from "./build_program.ts";
export { type BatchLimits, checkBatch, checkRopeLengths, checkSites } from "./check_batch.ts";
export { ConfigReader, type RawConfig } from "./config.ts";
export type * from "./device.ts";
export { cutEntry, joinResults } from "./entry_parts.ts";
export { abortedError, CapstanError, type ErrorCode, type ErrorParts, show, unknownId } from "./errors.ts";
export { FILE_DTYPES, isFileDtype, toFloats } from "./file_dtypes.ts";
export { resolveFollows } from "./follow.ts";
export {
  allSites,
  type DeviceHook,
  expandSites,
  type Hook,
  type HookPlan,
  type Positions,
  planHooks,
  projectionCount,
  SITE_KINDS,
  type Site,
  type SiteId,
  type SiteKind,
  siteId,
  siteName,
} from "./hooks.ts";
export { isObject } from "./json.ts";
export {
  badElement,
  fileBytes,
  isQuantised,
  keptDtypes,
  knownDtype,
  openProgramWeights,
  readExactly,
  streamParts,
} from "./load_weights.ts";
export { type MemoryNeed, memoryNeed } from "./memory.ts";
export {
  type BufferName,
  type Op,
  type Program,
  programSites,
  tensorSpecs,
  type WeightId,
  type WeightSlot,
} from "./program.ts";
export { frequenciesAt, type RopeLengths, ropeLengths, ropeRows, ropeRowsByLength } from "./rope.ts";
export { Slots } from "./slots.ts";
export type * from "./spec.ts";
export type { Warn } from "./warn.ts";
