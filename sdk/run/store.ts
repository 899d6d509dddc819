import { appendLine, fileSize, joinPath, readFile, writeFileAtomic } from "../platform/index.ts";

/**
 * Where a run keeps its files: a folder on disk, or memory. Two promises carry the rest of `sdk/run`: `write`
 * leaves the old file or the new one, whatever happens; `append` leaves all that was there before it.
 */
export interface RunStore {
  /** As messages name it. */
  readonly name: string;
  /** The file's bytes, or undefined when there is none. */
  read(file: string): Promise<Uint8Array | undefined>;
  /** Whole and atomic. */
  write(file: string, data: Uint8Array | string): Promise<void>;
  /** Lines without their last line feed, flushed before this returns. */
  append(file: string, lines: string): Promise<void>;
  /** In bytes, or undefined when there is none. */
  size(file: string): Promise<number | undefined>;
}

/** A run's folder on disk. */
export function folderStore(path: string): RunStore {
  const at = (file: string) => joinPath(path, file);
  const size = (file: string) => fileSize(at(file));
  return {
    name: path,
    size,
    read: async (file) => ((await size(file)) === undefined ? undefined : await readFile(at(file))),
    write: (file, data) => writeFileAtomic(at(file), data),
    append: (file, lines) => appendLine(at(file), lines),
  };
}

/** A run that leaves no files: the same bytes, kept in a map. */
export function memoryStore(files: Map<string, Uint8Array> = new Map()): RunStore {
  const encode = (data: Uint8Array | string) =>
    typeof data === "string" ? new TextEncoder().encode(data) : data;
  return {
    name: "run in memory",
    size: async (file) => files.get(file)?.length,
    read: async (file) => files.get(file),
    write: async (file, data) => void files.set(file, encode(data)),
    append: async (file, lines) => void files.set(file, appended(files.get(file), encode(`${lines}\n`))),
  };
}

/** As `appendLine` does it: a line that was cut by a kill is closed first. */
function appended(before: Uint8Array | undefined, data: Uint8Array): Uint8Array {
  if (before === undefined || before.length === 0) return data;
  const gap = before[before.length - 1] === 10 ? 0 : 1;
  const after = new Uint8Array(before.length + gap + data.length);
  after.set(before);
  if (gap === 1) after[before.length] = 10;
  after.set(data, before.length + gap);
  return after;
}
