/** Writes records as they come: while one write is under way, what comes is gathered for the next. */
export class Gathering<T> {
  readonly #write: (records: readonly T[]) => Promise<unknown>;
  #pending: T[] = [];
  #under_way = 0;
  #next: Promise<void> | null = null;
  #last: Promise<void> = Promise.resolve();

  /** @param write makes a batch durable; never called again before it has settled, nor once it has failed */
  constructor(write: (records: readonly T[]) => Promise<unknown>) {
    this.#write = write;
  }

  /** Records that no write has made durable yet. */
  get under_way(): number {
    return this.#under_way;
  }

  /** Settles once these and all before them are durable. After a write that failed, it rejects and writes nothing. */
  add(records: readonly T[]): Promise<void> {
    if (records.length === 0) return this.#last;
    this.#pending.push(...records);
    this.#under_way += records.length;
    if (this.#next === null) {
      this.#next = this.#last = this.#writeAfter(this.#last);
      // Whoever waits gets the error; where nobody waits, the next one does.
      this.#next.catch(() => {});
    }
    return this.#next;
  }

  /** Waits until all are durable. Throws what a write threw. */
  async flush(): Promise<void> {
    await this.#last;
  }

  async #writeAfter(last: Promise<void>): Promise<void> {
    await last;
    const batch = this.#pending;
    this.#pending = [];
    this.#next = null;
    await this.#write(batch);
    this.#under_way -= batch.length;
  }
}
