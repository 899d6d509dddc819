import type { PullOptions, PullResult } from "../../types.ts";

/** Models of the Hugging Face hub, in the cache that Python uses. The code is read when a model is fetched. */
export { type HubId, parseHubId } from "./names.ts";

/**
 * Fetches a model's files from the Hugging Face hub into its cache, where Python finds them too. What is there is not
 * fetched again; what was interrupted is gone on with; every file's digest is checked.
 *
 * @param name `owner/name` or `owner/name@revision`
 * @throws CapstanError `bad_request`, `not_found`, `access_denied` (gated or private), `network`, `digest_mismatch`,
 *   `aborted`: files that are whole stay
 * @example
 * const { folder } = await pull("Qwen/Qwen3-0.6B");
 */
export async function pull(name: string, given: PullOptions = {}): Promise<PullResult> {
  const { pull: run } = await import("./pull.ts");
  return await run(name, given);
}
