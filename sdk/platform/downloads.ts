import { CapstanError } from "../../models/index.ts";
import { attempt, makeFolder } from "./files.ts";
import { dirname, joinPath } from "./paths.ts";
import { isGranted } from "./permissions.ts";
import { system } from "./system.ts";

/** What a cache of downloads needs of files beyond reading and writing them whole. */

/** A file that grows at its end. */
export interface GrowingFile extends AsyncDisposable {
  /** Bytes it had when it was opened. */
  readonly size: number;
  append(bytes: Uint8Array): Promise<void>;
  /** Empties it. */
  clear(): Promise<void>;
  /** Waits until the disk has it. */
  flush(): Promise<void>;
}

/** Opens a file to append to; one that is not there is made, with its folders. */
export async function openGrowing(path: string): Promise<GrowingFile> {
  await makeFolder(dirname(path));
  const handle = await attempt("open", path, (fs) => fs.open(path, "a"));
  const { size } = await handle.stat();
  return {
    size,
    append: (bytes) => attempt("write", path, () => handle.appendFile(bytes)),
    clear: () => attempt("write", path, () => handle.truncate(0)),
    flush: () => attempt("write", path, () => handle.sync()),
    [Symbol.asyncDispose]: () => handle.close(),
  };
}

/** Renames a file; one of the new name is replaced at once. */
export async function moveFile(from: string, to: string): Promise<void> {
  await attempt("write", to, (fs) => fs.rename(from, to));
}

/**
 * Makes `path` a link to `target` (relative to the link's folder), replacing what is there. Where the system has no
 * links for us (Windows without the right to make them) it becomes a copy.
 */
export async function linkFile(target: string, path: string): Promise<void> {
  // One that is there already is left alone: the folder may be one that nobody may write in.
  const now = await attempt("link", path, (fs) => fs.readlink(path).catch(() => null));
  if (now === target) return;
  await makeFolder(dirname(path));
  const fresh = `${path}.${crypto.randomUUID()}.tmp`;
  await attempt("link", path, async (fs) => {
    try {
      await fs.symlink(target, fresh);
    } catch (error) {
      if ((error as { code?: unknown }).code !== "EPERM") throw error;
      await fs.copyFile(joinPath(dirname(path), target), fresh);
    }
    await fs.rename(fresh, path);
  });
}

/** A digest of bytes that come in parts. */
export interface Hasher {
  update(bytes: Uint8Array | string): void;
  /** In hex; ends it. */
  digest(): string;
}

export function hasher(algorithm: "sha1" | "sha256"): Hasher {
  const hash = system("node:crypto", "check a download").createHash(algorithm);
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest("hex") };
}

/** The user's own folder. Throws `access_denied` where Deno may not show it. */
export function homeFolder(): string {
  if (!isGranted({ name: "sys", kind: "homedir" })) {
    throw new CapstanError("access_denied", {
      action: "find the home folder, where models of the hub are kept",
      need: "Deno to run with --allow-sys=homedir",
      found: "no such permission",
      fix: "Setting HF_HOME (and --allow-env) does too.",
    });
  }
  return system("node:os", "find the home folder").homedir();
}
