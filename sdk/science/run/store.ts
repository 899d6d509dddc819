import { CapstanError, concatBytes } from "../../../models/index.ts";
import {
  appendLine,
  type FileData,
  fileKind,
  fileSize,
  joinPath,
  type LockHolder,
  listFolder,
  openFile,
  readFile,
  remove,
  tryLock,
  writeFileAtomic,
} from "../../platform/index.ts";

/**
 * Where a run keeps its files: a folder on disk, or memory. Two promises carry the rest of `sdk/science/run`: `write`
 * leaves the old file or the new one, whatever happens; `append` leaves all that was there before it.
 */
export interface RunStore {
  /** As messages name it. */
  readonly name: string;
  /** The file's bytes, or those at [start, end); undefined when there is no such file. */
  read(file: string, range?: { start: number; end: number }): Promise<Uint8Array | undefined>;
  /** Whole and atomic. */
  write(file: string, data: FileData): Promise<void>;
  /** Lines without their last line feed, flushed before this returns; gives the byte at which they start. */
  append(file: string, lines: string): Promise<number>;
  /** In bytes, or undefined when there is none. */
  size(file: string): Promise<number | undefined>;
  /** Names of the files in a folder of it (`""` is its own), in any order; none where there is no such folder. */
  list(folder: string): Promise<string[]>;
  /** Removes a file; one that is not there is fine. */
  remove(file: string): Promise<void>;
  /**
   * Keeps other writers out until it is disposed of. Throws `bad_request` where one is at work.
   */
  lock(): Promise<AsyncDisposable>;
}

/**
 * A run's folder on disk.
 *
 * @example
 * const run = await Run.open(folderStore("run"));
 */
export function folderStore(path: string): RunStore {
  const at = (file: string) => joinPath(path, file);
  const size = (file: string) => fileSize(at(file));
  return {
    name: path,
    size,
    async read(file, range) {
      if ((await size(file)) === undefined) return undefined;
      if (range === undefined) return await readFile(at(file));
      await using open = await openFile(at(file));
      return await open.read(Math.min(range.start, open.size), Math.min(range.end, open.size));
    },
    write: (file, data) => writeFileAtomic(at(file), data),
    append: (file, lines) => appendLine(at(file), lines),
    list: async (folder) => ((await fileKind(at(folder))) === "folder" ? await listFolder(at(folder)) : []),
    remove: (file) => remove(at(file)),
    async lock() {
      const lock = await tryLock(at(LOCK));
      if ("pid" in lock) throw heldBy(path, lock);
      return lock;
    },
  };
}

/** The file that keeps a second writer out. */
export const LOCK = "lock";

function heldBy(path: string, { host, pid }: LockHolder): CapstanError {
  return new CapstanError("bad_request", {
    action: `write to run ${path}`,
    need: "no other process at work on it",
    found: `process ${pid} on ${host}`,
    fix: `Wait for it, or give another folder. If it is no Capstan's process, remove ${joinPath(path, LOCK)}.`,
  });
}

/** Stores in memory that are being written to. */
const busy = new WeakSet<Map<string, Uint8Array>>();

/**
 * A run that leaves no files: the same bytes, kept in a map.
 *
 * @example
 * const run = await collect(model, { out: memoryStore() });
 */
export function memoryStore(files: Map<string, Uint8Array> = new Map()): RunStore {
  const name = "run in memory";
  return {
    name,
    size: async (file) => files.get(file)?.length,
    read: async (file, range) => {
      const bytes = files.get(file);
      return range === undefined ? bytes : bytes?.slice(range.start, range.end);
    },
    write: async (file, data) => void files.set(file, await bytesOf(data)),
    async append(file, lines) {
      const before = files.get(file) ?? new Uint8Array(0);
      // As `appendLine` does it: a line that was cut by a kill is closed first.
      const gap = before.length === 0 || before[before.length - 1] === 10 ? "" : "\n";
      files.set(file, concatBytes([before, await bytesOf(`${gap}${lines}\n`)]));
      return before.length + gap.length;
    },
    async list(folder) {
      const start = folder === "" ? "" : `${folder}/`;
      const below = [...files.keys()].filter((file) => file.startsWith(start));
      return below.map((file) => file.slice(start.length)).filter((file) => !file.includes("/"));
    },
    remove: async (file) => void files.delete(file),
    async lock() {
      if (busy.has(files)) {
        const parts = { action: `write to ${name}`, need: "no other call at work on it", found: "one" };
        throw new CapstanError("bad_request", parts);
      }
      busy.add(files);
      return { [Symbol.asyncDispose]: async () => void busy.delete(files) };
    },
  };
}

async function bytesOf(data: FileData): Promise<Uint8Array> {
  if (typeof data === "string") return new TextEncoder().encode(data);
  if (data instanceof Uint8Array) return data;
  const parts: Uint8Array[] = [];
  for await (const part of data) parts.push(part);
  return concatBytes(parts);
}
