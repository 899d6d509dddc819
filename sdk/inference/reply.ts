import type { GeneratedToken, GenerateResult, Reply } from "../types.ts";

/**
 * The stream of a reply: tokens pushed by the scheduler, read by any number of readers, each from the start.
 * A reader that leaves before the end cancels the reply, whether or not it has read anything.
 */
export class ReplyStream implements Reply {
  readonly result: Promise<GenerateResult>;
  readonly prompt_projections: Promise<Record<string, Float32Array>>;
  readonly #tokens: GeneratedToken[] = [];
  readonly #cancel: () => void;
  #settle!: { resolve: (result: GenerateResult) => void; reject: (error: unknown) => void };
  #settlePrompt!: (read: Record<string, Float32Array>) => void;
  #wake: (() => void)[] = [];
  #is_over = false;

  constructor(cancel: () => void) {
    this.#cancel = cancel;
    this.result = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    const read = new Promise<Record<string, Float32Array>>((resolve) => {
      this.#settlePrompt = resolve;
    });
    // A reply that ends before its prompt was read ends both, by its error or without readings.
    this.prompt_projections = Promise.race([read, this.result.then(() => ({}))]);
    this.prompt_projections.catch(() => {});
    // A caller who only iterates gets the error there; it is not an unhandled one.
    this.result.catch(() => {});
  }

  takePrompt(read: Record<string, Float32Array>): void {
    this.#settlePrompt(read);
  }

  push(token: GeneratedToken): void {
    this.#tokens.push(token);
    this.#wakeAll();
  }

  finish(result: GenerateResult): void {
    this.#is_over = true;
    this.#settle.resolve(result);
    this.#wakeAll();
  }

  fail(error: unknown): void {
    this.#is_over = true;
    this.#settle.reject(error);
    this.#wakeAll();
  }

  /** The token at `index`, once it is there; undefined at the reply's end. Rejects where the reply failed. */
  async at(index: number): Promise<GeneratedToken | undefined> {
    while (index >= this.#tokens.length && !this.#is_over) {
      await new Promise<void>((wake) => this.#wake.push(wake));
    }
    const token = this.#tokens[index];
    if (token === undefined) await this.result;
    return token;
  }

  /** A reader has left: nobody is to wait for the rest. */
  leave(): void {
    if (!this.#is_over) this.#cancel();
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<GeneratedToken, void, undefined> {
    return new ReplyReader(this);
  }

  #wakeAll(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}

type Next = IteratorResult<GeneratedToken, undefined>;
const END: Next = { done: true, value: undefined };

/** Not a generator: one that never started ends without running its `finally`, and its reply would go on for nobody. */
class ReplyReader implements AsyncIterableIterator<GeneratedToken, void, undefined> {
  readonly #reply: ReplyStream;
  #index = 0;
  #has_left = false;
  /** Reads asked for at once are answered in order. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(reply: ReplyStream) {
    this.#reply = reply;
  }

  next(): Promise<Next> {
    const next = this.#last.then(() => this.#read());
    this.#last = next.catch(() => {});
    return next;
  }

  async return(): Promise<Next> {
    this.#leave();
    return END;
  }

  async throw(error: unknown): Promise<Next> {
    this.#leave();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #read(): Promise<Next> {
    if (this.#has_left) return END;
    const value = await this.#reply.at(this.#index++);
    if (value !== undefined && !this.#has_left) return { done: false, value };
    this.#has_left = true;
    return END;
  }

  #leave(): void {
    if (this.#has_left) return;
    this.#has_left = true;
    this.#reply.leave();
  }
}
