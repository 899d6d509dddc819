import { abortedError } from "../../models/index.ts";
import { attempt, makeFolder } from "./files.ts";
import { dirname, joinPath } from "./paths.ts";
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

/** The user's own folder. */
export function homeFolder(): string {
  return system("node:os", "find the home folder").homedir();
}

/** A lock whose holder has not touched it for so long counts as left behind, in milliseconds. */
const STALE_MS = 20_000;
const TOUCH_MS = 2_000;
const POLL_MS = 100;

/**
 * Holds a lock among processes: a file that only one of them can make. Its holder touches it as long as it lives, so
 * that one left behind by a kill is seen to be.
 *
 * @param signal ends the wait
 * @throws CapstanError `aborted`, `bad_file`
 */
export async function holdLock(path: string, signal?: AbortSignal): Promise<AsyncDisposable> {
  await makeFolder(dirname(path));
  for (;;) {
    if (signal?.aborted) throw abortedError(`wait for ${path}`, signal);
    if (await makeLock(path)) break;
    await removeStale(path);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  const { setInterval, clearInterval } = system("node:timers", "hold a lock");
  const touch = () =>
    void attempt("touch", path, (fs) => fs.utimes(path, new Date(), new Date())).catch(() => {});
  const timer = setInterval(touch, TOUCH_MS).unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await attempt("unlock", path, (fs) => fs.rm(path, { force: true }));
    },
  };
}

async function makeLock(path: string): Promise<boolean> {
  return await attempt("lock", path, async (fs) => {
    try {
      await fs.writeFile(path, `${holder()} ${system("node:process", "hold a lock").pid}`, { flag: "wx" });
      return true;
    } catch (error) {
      if ((error as { code?: unknown }).code === "EEXIST") return false;
      throw error;
    }
  });
}

/** Process ids are this machine's own, and a container's. */
function holder(): string {
  return system("node:os", "hold a lock").hostname();
}

/** Of those who see the same stale lock, one moves it away; a fresh one that was moved by mistake is put back. */
async function removeStale(path: string): Promise<void> {
  await attempt("unlock", path, async (fs) => {
    const is_stale = async (file: string) =>
      Date.now() - (await fs.stat(file)).mtimeMs > STALE_MS || isDead(await fs.readFile(file, "utf8"));
    const aside = `${path}.${crypto.randomUUID()}`;
    try {
      if (!(await is_stale(path))) return;
      await fs.rename(path, aside);
      if (!(await is_stale(aside))) await fs.link(aside, path).catch(() => {});
      await fs.rm(aside, { force: true });
    } catch (error) {
      if ((error as { code?: unknown }).code !== "ENOENT") throw error;
    }
  });
}

/** Whether a lock's holder was a process of this machine that is no more. */
function isDead(lock: string): boolean {
  const [, host, pid] = /^(\S+) (\d+)$/.exec(lock) ?? [];
  if (host !== holder()) return false;
  try {
    system("node:process", "hold a lock").kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as { code?: unknown }).code === "ESRCH";
  }
}
