/** Short reads come from pages of this size, of which the last few are kept: one read for many small tensors. */
export const PAGE_BYTES = 2 ** 20;
const PAGES_KEPT = 2;

/** A file, wherever it lies, read at any position. */
export interface Ranged {
  /** In bytes. */
  readonly size: number;
  /** Bytes [start, end); in `into`, where there is some and the file makes use of it. */
  read(start: number, end: number, into?: Uint8Array): Promise<Uint8Array>;
}

/** The last pages of one file. */
export class Pages {
  readonly #kept = new Map<number, Promise<Uint8Array>>();

  /** @param first the file's first page, where it came with its size */
  constructor(first?: Uint8Array) {
    if (first !== undefined) this.#kept.set(0, Promise.resolve(first));
  }

  /** Bytes [start, end) of the file, by whole pages where the range lies in one. */
  async read(file: Ranged, start: number, end: number, into?: Uint8Array): Promise<Uint8Array> {
    const index = Math.floor(start / PAGE_BYTES);
    const at = index * PAGE_BYTES;
    if (end > at + PAGE_BYTES || end > file.size) return await file.read(start, end, into);
    const page = this.#kept.get(index) ?? file.read(at, Math.min(at + PAGE_BYTES, file.size));
    this.#kept.delete(index);
    this.#kept.set(index, page);
    for (const old of [...this.#kept.keys()].slice(0, -PAGES_KEPT)) this.#kept.delete(old);
    try {
      return (await page).slice(start - at, end - at);
    } catch (error) {
      if (this.#kept.get(index) === page) this.#kept.delete(index);
      throw error;
    }
  }
}
