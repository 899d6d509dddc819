import { joinResults, type StepResult } from "../../../models/index.ts";
import type { Call, CallResult } from "./task.ts";

/** How far a call has come: what of it was dispatched to the device, and the results of what was committed. */
export class CallProgress {
  /** Position of the call's first token in its sequence. */
  readonly start: number;
  /** Tokens at its begin that came from the prefix cache. */
  readonly cached: number;
  /** Tokens dispatched so far. */
  dispatched: number;
  /** Projections of those, a row for each; none where they are not wanted. */
  readonly #cached_rows: readonly Float32Array[];
  #call: Call;
  #committed: number;
  readonly #results: StepResult[] = [];

  constructor(call: Call, start: number, cached = 0, cached_rows: readonly Float32Array[] = []) {
    this.#call = call;
    this.start = start;
    this.cached = cached;
    this.#cached_rows = cached_rows;
    this.dispatched = cached;
    this.#committed = cached;
  }

  get call(): Call {
    return this.#call;
  }

  /** Position after the call's last token. */
  get end(): number {
    return this.start + this.#call.tokens.length;
  }

  /** Tokens not yet dispatched. */
  get remaining(): number {
    return this.#call.tokens.length - this.dispatched;
  }

  get is_complete(): boolean {
    return this.#committed === this.#call.tokens.length;
  }

  /** Puts what is known now in the place of a call that was dispatched before its token was. */
  settle(call: Call): this {
    this.#call = call;
    return this;
  }

  /** Takes the results of the next `count` tokens, and gives these tokens. */
  commit(result: StepResult, count: number): Int32Array {
    this.#committed += count;
    this.#results.push(result);
    return this.#call.tokens.subarray(this.#committed - count, this.#committed);
  }

  /** Forgets what was dispatched and not committed. */
  rollBack(): void {
    this.dispatched = this.#committed;
  }

  /** What it gave, once it is complete. */
  finish(): CallResult {
    const n_fed = this.#committed - this.cached;
    const { token, logprobs, logits, captures, projections } = joinResults(this.#results, n_fed);
    const rows = Array.from({ length: projections.length / n_fed }, (_, row) => {
      const fed = projections.slice(row * n_fed, (row + 1) * n_fed);
      const before = this.#cached_rows[row];
      return before === undefined ? fed : Float32Array.from([...before, ...fed]);
    });
    return {
      token,
      logprobs,
      logits: logits ?? new Float32Array(),
      captures,
      projections: rows,
      cached: this.cached,
    };
  }
}
