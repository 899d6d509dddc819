/** Models of the Hugging Face hub, in the cache that Python uses. */
export { type HubId, parseHubId } from "./names.ts";
export { hubFolder, hubUrl, pull } from "./pull.ts";
