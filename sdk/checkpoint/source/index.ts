/** Where a model's files come from. */
export { folderSource, isPlainName } from "./folder.ts";
export { memorySource } from "./memory.ts";
export { readSourceBytes, readSourceJson, readSourceText } from "./read.ts";
export { EMBEDDED, type ModelSource, resolveSource } from "./resolve.ts";
