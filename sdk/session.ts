import { CapstanError } from "../models/index.ts";
import { forwardSequence } from "./forward.ts";
import { runtimeOf } from "./runtime.ts";
import type { Sequence } from "./scheduler/sequence.ts";
import type { ForwardOptions, ForwardResult, Model, Session } from "./types.ts";

/** A sequence in the caller's hands. Calls on one session run in the order they were made. */
export class ModelSession implements Session {
  readonly #model: Model;
  readonly #sequence: Sequence;
  #last: Promise<unknown> = Promise.resolve();
  #disposed = false;

  constructor(model: Model, sequence: Sequence) {
    this.#model = model;
    this.#sequence = sequence;
  }

  get n_tokens(): number {
    return this.#sequence.n_tokens;
  }

  forward(tokens: ArrayLike<number>, options: Omit<ForwardOptions, "hooks"> = {}): Promise<ForwardResult> {
    return this.#inTurn(() => forwardSequence(this.#model, this.#sequence, tokens, options));
  }

  truncate(n_tokens: number): void {
    this.#checkOpen();
    if (!Number.isInteger(n_tokens) || n_tokens < 0 || n_tokens > this.n_tokens) {
      throw new CapstanError("bad_request", {
        action: "truncate a session",
        need: `a number of tokens from 0 to ${this.n_tokens}`,
        found: String(n_tokens),
      });
    }
    this.#sequence.truncate(n_tokens);
  }

  fork(): Promise<Session> {
    return this.#inTurn(async () => {
      runtimeOf(this.#model).scheduler.hook_sets.acquire(this.#sequence.hooks.plan);
      return new ModelSession(this.#model, this.#sequence.fork());
    });
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#last.catch(() => {});
    this.#sequence.dispose();
    runtimeOf(this.#model).scheduler.hook_sets.release(this.#sequence.hooks);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#checkOpen();
    const turn = this.#last.catch(() => {}).then(work);
    this.#last = turn;
    turn.catch(() => {});
    return turn;
  }

  #checkOpen(): void {
    if (!this.#disposed) return;
    throw new CapstanError("bad_request", {
      action: "use a session",
      need: "an open one",
      found: "one disposed of",
    });
  }
}
