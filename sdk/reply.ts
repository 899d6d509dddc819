import type { GeneratedToken, GenerateResult, Reply } from "./types.ts";

/**
 * The stream of a reply: tokens pushed by the scheduler, read by any number of readers, each from the start.
 * A reader that breaks off aborts the reply unless it has ended.
 */
export class ReplyStream implements Reply {
  readonly result: Promise<GenerateResult>;
  readonly #tokens: GeneratedToken[] = [];
  readonly #abort: () => void;
  #settle!: { resolve: (result: GenerateResult) => void; reject: (error: unknown) => void };
  #wake: (() => void)[] = [];
  #over = false;

  constructor(abort: () => void) {
    this.#abort = abort;
    this.result = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // A caller who only iterates meets the error there; it is not an unhandled one.
    this.result.catch(() => {});
  }

  push(token: GeneratedToken): void {
    this.#tokens.push(token);
    this.#wakeAll();
  }

  finish(result: GenerateResult): void {
    this.#over = true;
    this.#settle.resolve(result);
    this.#wakeAll();
  }

  fail(error: unknown): void {
    this.#over = true;
    this.#settle.reject(error);
    this.#wakeAll();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GeneratedToken, void, undefined> {
    try {
      for (let at = 0; ; at++) {
        while (at >= this.#tokens.length && !this.#over)
          await new Promise<void>((wake) => this.#wake.push(wake));
        const token = this.#tokens[at];
        if (token === undefined) break;
        yield token;
      }
      await this.result;
    } finally {
      if (!this.#over) this.#abort();
    }
  }

  #wakeAll(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}
