import { basename, dirname, exists, joinPath, resolvePath } from "../../platform/index.ts";

/** Files that runs and evaluations keep in their folders, by the manifest that stands beside them. */

const RUN = "manifest.json";
const EVALUATION = "evaluation.json";
const OWN: Readonly<Record<string, readonly string[]>> = {
  [RUN]: [RUN, "responses.jsonl", "scores.jsonl", "skipped.jsonl", "lock"],
  [EVALUATION]: [EVALUATION, "replies.jsonl", "judgements.jsonl", "summary.json", "lock"],
};
const SHARDS = "activations";

/**
 * The folder of the run or evaluation that a path is a file of; undefined for any other path, also for one in such a folder
 * that it does not keep itself.
 *
 * @example
 * await ownerOf("run/responses.jsonl"); // the path of run
 */
export async function ownerOf(path: string): Promise<string | undefined> {
  const folder = dirname(resolvePath(path));
  for (const [manifest, names] of Object.entries(OWN)) {
    if (names.includes(basename(path)) && (await exists(joinPath(folder, manifest)))) return folder;
  }
  const above = dirname(folder);
  return basename(folder) === SHARDS && (await exists(joinPath(above, RUN))) ? above : undefined;
}
