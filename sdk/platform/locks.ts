import { abortedError, CapstanError } from "../../models/index.ts";
import { attempt, fileKind, makeFolder } from "./files.ts";
import { dirname, resolvePath } from "./paths.ts";
import { system } from "./system.ts";

/**
 * Locks among processes: a file that only one of them can make, with its maker's host and process id. The holder touches
 * the file as long as it lives, so that one left behind by a kill is recognised.
 */

const TOUCH_MS = 2_000;
const POLL_MS = 100;
/** A waiting process takes over a lock that nobody has touched for so long. */
const STALE_MS = 20_000;
/** Where the lock protects hours of work, a holder on another host is believed to live for longer. */
const STALE_ELSEWHERE_MS = 120_000;
/** A lock without a holder's name is being written, or its maker was killed at that instant. */
const NAMELESS_MS = 1_000;

/** Who holds a lock. */
export interface LockHolder {
  host: string;
  pid: number;
}

/** Locks that this process holds, by full path. */
const held = new Set<string>();

/**
 * Holds a lock, waiting for whoever has it. Meant for short work: a holder that does not touch it for 20 s is passed over.
 *
 * @param signal ends the wait
 * @throws CapstanError `aborted`, `bad_file`
 */
export async function holdLock(path: string, signal?: AbortSignal): Promise<AsyncDisposable> {
  await makeFolder(dirname(path));
  for (;;) {
    if (signal?.aborted) throw abortedError(`wait for ${path}`, signal);
    if (await makeLock(path)) return keep(path);
    await removeStale(path, ({ age_ms, holder }) => age_ms > STALE_MS || isDead(holder));
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/**
 * Takes a lock, or says who has it. That of a process of this host is taken over when the process is dead, however
 * long it has been busy otherwise; that of another host when nobody has touched it for two minutes.
 *
 * @throws CapstanError `bad_file`
 */
export async function tryLock(path: string): Promise<AsyncDisposable | LockHolder> {
  await makeFolder(dirname(path));
  for (;;) {
    if (await makeLock(path)) return keep(path);
    const found = await removeStale(path, isLeftBehind);
    if (found === "nameless") await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    else if (found !== null) return found;
  }
}

function isLeftBehind({ age_ms, holder, path }: SeenLock): boolean {
  if (holder === null) return age_ms > NAMELESS_MS;
  if (holder.host !== hostName()) return age_ms > STALE_ELSEWHERE_MS;
  // A process id comes again, first of all in containers: ours is the holder only if this process made the lock.
  if (holder.pid === processId()) return !held.has(resolvePath(path)) && age_ms > STALE_MS;
  return isDead(holder);
}

/** Touches a lock until it is given back. */
function keep(path: string): AsyncDisposable {
  const { setInterval, clearInterval } = system("node:timers", "hold a lock");
  const touch = () =>
    void attempt("touch", path, (fs) => fs.utimes(path, new Date(), new Date())).catch(() => {});
  const timer = setInterval(touch, TOUCH_MS).unref();
  const full = resolvePath(path);
  held.add(full);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      held.delete(full);
      await attempt("unlock", path, (fs) => fs.rm(path, { force: true }));
    },
  };
}

async function makeLock(path: string): Promise<boolean> {
  return await attempt("lock", path, async (fs) => {
    try {
      await fs.writeFile(path, `${hostName()} ${processId()}`, { flag: "wx" });
      return true;
    } catch (error) {
      if ((error as { code?: unknown }).code === "EEXIST") return false;
      // A full disk leaves an empty file that nobody would hold.
      if ((error as { code?: unknown }).code === "ENOSPC") await fs.rm(path, { force: true });
      throw error;
    }
  });
}

interface SeenLock {
  path: string;
  /** Since somebody touched it. */
  age_ms: number;
  /** Null where the file does not say. */
  holder: LockHolder | null;
}

/**
 * Removes a lock that is left behind: of those who see the same one, one moves it away; a fresh one that was moved by
 * mistake is put back. Null when the lock is gone, else who holds it, `nameless` where it does not say.
 */
async function removeStale(
  path: string,
  isStale: (lock: SeenLock) => boolean,
): Promise<LockHolder | "nameless" | null> {
  if ((await fileKind(path)) === "folder") {
    const fix = "Remove it: the file that keeps a second writer out belongs there.";
    const parts = { action: `lock ${path}`, need: "no folder of that name", found: "one", fix };
    throw new CapstanError("bad_file", parts);
  }
  return await attempt("unlock", path, async (fs) => {
    const look = async (file: string): Promise<SeenLock> => {
      const { mtimeMs } = await fs.stat(file);
      return { path, age_ms: Date.now() - mtimeMs, holder: readHolder(await fs.readFile(file, "utf8")) };
    };
    const aside = `${path}.${crypto.randomUUID()}`;
    try {
      const seen = await look(path);
      if (!isStale(seen)) return seen.holder ?? "nameless";
      await fs.rename(path, aside);
      if (!isStale(await look(aside))) await fs.link(aside, path).catch(() => {});
      await fs.rm(aside, { force: true });
      return null;
    } catch (error) {
      if ((error as { code?: unknown }).code === "ENOENT") return null;
      throw error;
    }
  });
}

function readHolder(lock: string): LockHolder | null {
  const [, host, pid] = /^(\S+) (\d+)$/.exec(lock) ?? [];
  return host === undefined || pid === undefined ? null : { host, pid: Number(pid) };
}

/** Process ids are this machine's own, and a container's. */
function hostName(): string {
  return system("node:os", "hold a lock").hostname();
}

function processId(): number {
  return system("node:process", "hold a lock").pid;
}

/** Whether a lock's holder was a process of this machine that is no more. */
function isDead(holder: LockHolder | null): boolean {
  if (holder === null || holder.host !== hostName()) return false;
  try {
    system("node:process", "hold a lock").kill(holder.pid, 0);
    return false;
  } catch (error) {
    return (error as { code?: unknown }).code === "ESRCH";
  }
}
