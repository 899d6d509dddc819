import { setTimeout } from "node:timers";
import { type OpenFile, openFile } from "./files.ts";

/** How long a file stays open after its last read, in milliseconds. */
const IDLE_MS = 250;

/** Short reads come from pages of this size, of which the last few are kept: one read for many small tensors. */
const PAGE_BYTES = 2 ** 20;
const PAGES_KEPT = 2;

interface Opened {
  file: Promise<OpenFile>;
  pages: Map<number, Promise<Uint8Array>>;
  reading: number;
  read_at: number;
}

/**
 * Reads ranges of files, many of the same one in a row: loading a model takes some hundred reads, and opening
 * the file for each costs more than the reads. A file is closed once it has rested; nobody has to close it, and
 * an open one does not keep the process alive.
 */
export class RangeReader {
  readonly #opened = new Map<string, Opened>();

  /** Bytes [start, end) of the file at `path`. Throws as `openFile` and its `read`. */
  async read(path: string, start: number, end: number): Promise<Uint8Array> {
    const opened = this.#opened.get(path) ?? this.#open(path);
    opened.reading++;
    try {
      return await readFrom(await opened.file, opened.pages, start, end);
    } catch (error) {
      this.#opened.delete(path);
      throw error;
    } finally {
      opened.reading--;
      opened.read_at = performance.now();
    }
  }

  #open(path: string): Opened {
    const opened: Opened = { file: openFile(path), pages: new Map(), reading: 0, read_at: performance.now() };
    this.#opened.set(path, opened);
    opened.file.then(
      (file) => this.#closeWhenRested(path, opened, file),
      () => {},
    );
    return opened;
  }

  #closeWhenRested(path: string, opened: Opened, file: OpenFile): void {
    setTimeout(() => {
      if (opened.reading > 0 || performance.now() - opened.read_at < IDLE_MS) {
        this.#closeWhenRested(path, opened, file);
        return;
      }
      if (this.#opened.get(path) === opened) this.#opened.delete(path);
      void file.close();
    }, IDLE_MS).unref();
  }
}

async function readFrom(
  file: OpenFile,
  pages: Opened["pages"],
  start: number,
  end: number,
): Promise<Uint8Array> {
  const index = Math.floor(start / PAGE_BYTES);
  const at = index * PAGE_BYTES;
  if (end > at + PAGE_BYTES || end > file.size) return await file.read(start, end);
  const page = pages.get(index) ?? file.read(at, Math.min(at + PAGE_BYTES, file.size));
  pages.delete(index);
  pages.set(index, page);
  for (const old of [...pages.keys()].slice(0, -PAGES_KEPT)) pages.delete(old);
  return (await page).slice(start - at, end - at);
}
