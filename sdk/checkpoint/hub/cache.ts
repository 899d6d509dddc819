import { exists, joinPath, linkFile, readText, writeFileAtomic } from "../../platform/index.ts";
import { type HubId, isCommit } from "./names.ts";

/**
 * One model's folder in the cache, in the layout of Python's huggingface_hub: `blobs/<digest>` hold the bytes,
 * `snapshots/<commit>/<path>` are links to them, `refs/<revision>` hold commits.
 */
export class ModelCache {
  readonly folder: string;
  readonly #locks: string;

  constructor(cache: string, { id }: HubId) {
    const name = `models--${id.replaceAll("/", "--")}`;
    this.folder = joinPath(cache, name);
    this.#locks = joinPath(cache, ".locks", name);
  }

  /** The commit that a revision stood for when it was last fetched. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    const text = await readText(joinPath(this.folder, "refs", revision)).catch(() => "");
    return isCommit(text.trim()) ? text.trim() : undefined;
  }

  async setRef(revision: string, commit: string): Promise<void> {
    if (isCommit(revision) || (await this.commitOf(revision)) === commit) return;
    await writeFileAtomic(joinPath(this.folder, "refs", revision), commit);
  }

  snapshot(commit: string): string {
    return joinPath(this.folder, "snapshots", commit);
  }

  /** The folder of a revision's files, where there is one. */
  async find(revision: string): Promise<{ commit: string; folder: string } | undefined> {
    const commit = await this.commitOf(revision);
    if (commit === undefined) return undefined;
    const folder = this.snapshot(commit);
    return (await exists(folder)) ? { commit, folder } : undefined;
  }

  blob(digest: string): string {
    return joinPath(this.folder, "blobs", digest);
  }

  /** What is here of a blob that is not whole. A name of our own: Python's processes hold other locks. */
  unfinished(digest: string): string {
    return `${this.blob(digest)}.capstan.incomplete`;
  }

  lock(digest: string): string {
    return joinPath(this.#locks, `${digest}.capstan.lock`);
  }

  /** Puts a blob into a snapshot, by a relative link: the cache may be moved. */
  async link(commit: string, path: string, digest: string): Promise<void> {
    const up = "../".repeat(path.split("/").length + 1);
    await linkFile(`${up}blobs/${digest}`, joinPath(this.snapshot(commit), path));
  }
}
