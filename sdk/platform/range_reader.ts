import { type OpenFile, openFile } from "./files.ts";
import { Pages } from "./pages.ts";
import { system } from "./system.ts";

/** How long a file stays open after its last read, in milliseconds. */
const IDLE_MS = 250;

interface Opened {
  file: Promise<OpenFile>;
  pages: Pages;
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

  /** Bytes [start, end) of the file at `path`, long ranges in `into`. Throws as `openFile` and its `read`. */
  async read(path: string, start: number, end: number, into?: Uint8Array): Promise<Uint8Array> {
    const opened = this.#opened.get(path) ?? this.#open(path);
    opened.reading++;
    try {
      return await opened.pages.read(await opened.file, start, end, into);
    } catch (error) {
      this.#opened.delete(path);
      throw error;
    } finally {
      opened.reading--;
      opened.read_at = performance.now();
    }
  }

  #open(path: string): Opened {
    const opened: Opened = {
      file: openFile(path),
      pages: new Pages(),
      reading: 0,
      read_at: performance.now(),
    };
    this.#opened.set(path, opened);
    opened.file.then(
      (file) => this.#closeWhenRested(path, opened, file),
      () => {},
    );
    return opened;
  }

  #closeWhenRested(path: string, opened: Opened, file: OpenFile): void {
    const { setTimeout } = system("node:timers", "close a file");
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
