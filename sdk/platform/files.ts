import type { FileHandle } from "node:fs/promises";
import { CapstanError, show } from "../../models/index.ts";
import { basename, dirname, joinPath } from "./paths.ts";
import { system } from "./system.ts";

/** Bytes of a whole file. Throws `not_found` or `bad_file`. */
export async function readFile(path: string): Promise<Uint8Array> {
  const bytes = await attempt("read", path, (fs) => fs.readFile(path));
  // Not a Buffer: its `slice` shares memory where every other Uint8Array's copies.
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A whole file as text; bytes that are not UTF-8 throw `bad_file`. */
export async function readText(path: string): Promise<string> {
  const bytes = await readFile(path);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const parts = { action: `read ${path}`, need: "UTF-8 text", found: "bytes that are not UTF-8" };
    throw new CapstanError("bad_file", parts, { cause });
  }
}

/** A file open for reading at any position; the caller closes it (or writes `await using`). */
export interface OpenFile extends AsyncDisposable {
  /** Bytes, as it was opened. */
  readonly size: number;
  /** Bytes [start, end), in `into` where that is given. Throws `bad_file` when the file ends sooner. */
  read(start: number, end: number, into?: Uint8Array): Promise<Uint8Array>;
  close(): Promise<void>;
}

export async function openFile(path: string): Promise<OpenFile> {
  const handle = await attempt("open", path, (fs) => fs.open(path, "r"));
  const close = () => handle.close();
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw fileError("open", path, "a file", "something else of that name");
    const read = (start: number, end: number, into = new Uint8Array(end - start)) =>
      readRange(handle, path, start, into.subarray(0, end - start));
    return { size: stat.size, read, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Fills `bytes` from a byte of the file on. */
async function readRange(
  handle: FileHandle,
  path: string,
  start: number,
  bytes: Uint8Array,
): Promise<Uint8Array> {
  for (let done = 0; done < bytes.length; ) {
    // Positional reads, at most 1 GiB each: Node refuses 2 GiB in one call.
    const count = Math.min(bytes.length - done, 2 ** 30);
    const { bytesRead } = await attempt("read", path, () => handle.read(bytes, done, count, start + done));
    if (bytesRead === 0) {
      const found = `its end at byte ${start + done}`;
      throw fileError(
        "read",
        path,
        `bytes ${start} to ${start + bytes.length}`,
        found,
        "The file may be cut short.",
      );
    }
    done += bytesRead;
  }
  return bytes;
}

/** What a file is written from: all at once, or in parts. */
export type FileData = Uint8Array | string | AsyncIterable<Uint8Array>;

/**
 * Writes a whole file so that whoever looks, at any instant, finds the old one or the new one: a temporary
 * file in the same folder, flushed, then renamed. Missing folders are made. A link stays one, and leads to the new file; a
 * device or a pipe is written to.
 */
export async function writeFileAtomic(path: string, data: FileData): Promise<void> {
  await makeFolder(dirname(path));
  const { target, is_device } = await targetOf(path);
  if (is_device)
    return await attempt("write", path, async (fs) => await fill(await fs.open(target, "w"), data));
  const temporary = joinPath(dirname(target), `.${basename(target)}.${crypto.randomUUID()}.tmp`);
  await attempt("write", path, async (fs) => {
    try {
      const handle = await fs.open(temporary, "wx");
      await fill(handle, data, () => handle.sync());
      await fs.rename(temporary, target);
    } catch (error) {
      await fs.rm(temporary, { force: true });
      throw error;
    }
  });
  await syncFolder(dirname(target));
}

/** What a path leads to: the file behind a link; a device or a pipe, which no rename may replace. */
async function targetOf(path: string): Promise<{ target: string; is_device: boolean }> {
  const fs = filesystem("write", path);
  try {
    const found = await fs.stat(path);
    if (found.isFile()) return { target: await fs.realpath(path), is_device: false };
    return { target: path, is_device: !found.isDirectory() };
  } catch {
    return { target: path, is_device: false };
  }
}

interface Written {
  writeFile(data: string | Uint8Array): Promise<void>;
  appendFile(data: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Writes all of it into an open file, and closes that. */
async function fill(
  file: Written,
  data: FileData,
  end: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  try {
    if (typeof data === "string" || data instanceof Uint8Array) await file.writeFile(data);
    else for await (const part of data) await file.appendFile(part);
    await end();
  } finally {
    await file.close();
  }
}

/** A rename is safe from a power cut once its folder is flushed; systems that cannot do that are left alone. */
async function syncFolder(path: string): Promise<void> {
  try {
    const handle = await filesystem("flush", path).open(path, "r");
    await handle.sync().finally(() => handle.close());
  } catch {}
}

/**
 * Appends one line and flushes it to the disk. After a line that was cut by a kill, the new one starts on a line
 * of its own, so that a reader loses the cut line only.
 *
 * @returns the byte at which the new line starts
 */
export async function appendLine(path: string, line: string): Promise<number> {
  await makeFolder(dirname(path));
  return await attempt("append to", path, async (fs) => {
    const handle = await fs.open(path, "a+");
    try {
      const { size } = await handle.stat();
      const last = new Uint8Array(1);
      if (size > 0) await handle.read(last, 0, 1, size - 1);
      const is_cut = size > 0 && last[0] !== 10;
      await handle.appendFile(is_cut ? `\n${line}\n` : `${line}\n`);
      await handle.datasync();
      return is_cut ? size + 1 : size;
    } finally {
      await handle.close();
    }
  });
}

/** What lies at a path. */
export async function fileKind(path: string): Promise<"file" | "folder" | "other" | "none"> {
  try {
    const stat = await filesystem("look at", path).stat(path);
    return stat.isFile() ? "file" : stat.isDirectory() ? "folder" : "other";
  } catch (error) {
    if (isMissing(error)) return "none";
    throw asFileError("look at", path, error);
  }
}

/** The one name of what lies at a path, every link followed; undefined where there is nothing. */
export async function realPath(path: string): Promise<string | undefined> {
  try {
    return await filesystem("look at", path).realpath(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw asFileError("look at", path, error);
  }
}

export async function exists(path: string): Promise<boolean> {
  return (await fileKind(path)) !== "none";
}

/** Size of a file in bytes; undefined when there is none. */
export async function fileSize(path: string): Promise<number | undefined> {
  try {
    const stat = await filesystem("look at", path).stat(path);
    return stat.isFile() ? stat.size : undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw asFileError("look at", path, error);
  }
}

/** Names in a folder, sorted by code point so that every machine lists them alike. */
export async function listFolder(path: string): Promise<string[]> {
  const names = await attempt("list", path, (fs) => fs.readdir(path));
  return names.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Makes a folder and those above it; one that exists is fine. */
export async function makeFolder(path: string): Promise<void> {
  await attempt("make folder", path, (fs) => fs.mkdir(path, { recursive: true }));
}

/** Makes a folder of its own among the system's temporary ones; the caller removes it. */
export async function makeTemporaryFolder(prefix: string): Promise<string> {
  const place = joinPath(system("node:os", "find the folder of temporary files").tmpdir(), prefix);
  return await attempt("make folder", place, (fs) => fs.mkdtemp(place));
}

/** Removes a file or a whole folder; one that is not there is fine. */
export async function remove(path: string): Promise<void> {
  await attempt("remove", path, (fs) => fs.rm(path, { recursive: true, force: true }));
}

type Filesystem = typeof import("node:fs/promises");

function filesystem(verb: string, path: string): Filesystem {
  return system("node:fs/promises", `${verb} ${path}`);
}

export async function attempt<T>(
  verb: string,
  path: string,
  run: (fs: Filesystem) => Promise<T>,
): Promise<T> {
  try {
    return await run(filesystem(verb, path));
  } catch (error) {
    throw asFileError(verb, path, error);
  }
}

function isMissing(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === "ENOENT" || code === "ENOTDIR";
}

export function asFileError(verb: string, path: string, error: unknown): CapstanError {
  if (error instanceof CapstanError) return error;
  const action = `${verb} ${path}`;
  if (isMissing(error)) {
    return new CapstanError("not_found", { action, need: "it to exist", found: "nothing there" });
  }
  const code = (error as { code?: unknown }).code;
  const found = typeof code === "string" ? (KNOWN_CODES[code] ?? code) : show(String(error));
  return new CapstanError("bad_file", { action, need: "the system to allow it", found }, { cause: error });
}

const KNOWN_CODES: Record<string, string> = {
  EACCES: "no permission (EACCES)",
  EPERM: "no permission (EPERM)",
  EISDIR: "a folder (EISDIR)",
  ENOSPC: "a full disk (ENOSPC)",
  EROFS: "a read-only disk (EROFS)",
  EMFILE: "too many open files (EMFILE)",
  EEXIST: "a file of that name (EEXIST)",
  ELOOP: "a link that leads to itself (ELOOP)",
};

function fileError(verb: string, path: string, need: string, found: string, fix?: string): CapstanError {
  const parts = { action: `${verb} ${path}`, need, found };
  return new CapstanError("bad_file", fix === undefined ? parts : { ...parts, fix });
}
