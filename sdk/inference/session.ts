import { CapstanError, show } from "../../models/index.ts";
import type { ForwardResult, IntegerArray, Model, Session, SessionForwardOptions } from "../types.ts";
import { readForward, runForward } from "./forward.ts";
import type { Runtime } from "./runtime.ts";
import type { Sequence } from "./scheduler/sequence.ts";

/** A sequence in the caller's hands. Calls on one session take effect in the order they were made. */
export class ModelSession implements Session {
  readonly #model: Model;
  readonly #runtime: Runtime;
  readonly #sequence: Sequence;
  #last: Promise<unknown> = Promise.resolve();
  /** Calls that have not come to their end. */
  #n_pending = 0;
  /** Tokens there will be after the calls that are pending. */
  #n_planned: number;
  #is_disposed = false;

  constructor(model: Model, runtime: Runtime, sequence: Sequence) {
    this.#model = model;
    this.#runtime = runtime;
    this.#sequence = sequence;
    this.#n_planned = sequence.n_tokens;
  }

  get n_tokens(): number {
    return this.#sequence.n_tokens;
  }

  async forward(tokens: IntegerArray, options?: SessionForwardOptions): Promise<ForwardResult> {
    this.#checkOpen();
    const request = readForward(this.#model, tokens, options);
    this.#n_planned += request.tokens.length;
    return await this.#inTurn(() => runForward(this.#model, this.#runtime, this.#sequence, request));
  }

  truncate(n_tokens: number): Promise<void> {
    this.#checkOpen();
    if (!Number.isInteger(n_tokens) || n_tokens < 0 || n_tokens > this.#n_planned) {
      throw truncateError(this.#n_planned, n_tokens);
    }
    this.#n_planned = n_tokens;
    if (this.#n_pending > 0) return this.#inTurn(async () => this.#truncate(n_tokens));
    this.#truncate(n_tokens);
    return Promise.resolve();
  }

  async fork(): Promise<Session> {
    this.#checkOpen();
    return await this.#inTurn(async () => {
      const copy = this.#runtime.scheduler.forkSequence(this.#sequence);
      return new ModelSession(this.#model, this.#runtime, copy);
    });
  }

  async dispose(): Promise<void> {
    if (this.#is_disposed) return;
    this.#is_disposed = true;
    await this.#last.catch(() => {});
    this.#runtime.scheduler.closeSequence(this.#sequence);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** Fewer are there than were planned when a call before this one failed. */
  #truncate(n_tokens: number): void {
    if (n_tokens > this.n_tokens) throw truncateError(this.n_tokens, n_tokens);
    this.#sequence.truncate(n_tokens);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#n_pending++;
    const turn = this.#last
      .catch(() => {})
      .then(work)
      .finally(() => {
        if (--this.#n_pending === 0) this.#n_planned = this.n_tokens;
      });
    this.#last = turn;
    turn.catch(() => {});
    return turn;
  }

  #checkOpen(): void {
    if (!this.#is_disposed) return;
    throw new CapstanError("bad_request", {
      action: "use a session",
      need: "an open one",
      found: "one disposed of",
    });
  }
}

function truncateError(n_tokens: number, found: unknown): CapstanError {
  return new CapstanError("bad_request", {
    action: "truncate a session",
    need: `a number of tokens from 0 to ${n_tokens}`,
    found: show(found),
  });
}
