import {
  type AccumulatorId,
  joinResults,
  type SampleParams,
  type SiteId,
  type StepResult,
} from "../../models/index.ts";
import type { Sequence } from "./sequence.ts";

/** One forward call of a sequence: the tokens to feed, and what is wanted of them. */
export interface Call {
  tokens: Int32Array;
  /** Draw a token after the last position. */
  sample: SampleParams | null;
  logits: "none" | "last" | "all";
  captures: readonly SiteId[];
  /** Adds tokens [start, end) of the call to accumulators. */
  accumulate: readonly { id: AccumulatorId; start: number; end: number }[];
  /** Values of every position are wanted, so that none may come from the prefix cache. */
  reads_all: boolean;
}

/** A call's results, put together over the chunks it was run in. */
export interface CallResult {
  token: number;
  logprobs: StepResult["logprobs"];
  /** [n_tokens * d_vocab] or [d_vocab] or empty. */
  logits: Float32Array;
  /** In the order of the call's `captures`, each [n_tokens * d_model]. */
  captures: Float32Array[];
  /** [n_projections][n_tokens fed]: what came from the prefix cache is not among them. */
  projections: Float32Array[];
  /** Tokens of the call whose keys and values came from the prefix cache. */
  cached: number;
}

/**
 * Work on a sequence: a call, and after each call the next one. Continuations run inside the scheduler's
 * loop, so that the next step's batch holds every sequence that goes on.
 */
export interface Task {
  readonly sequence: Sequence;
  readonly first: Call;
  /** Most tokens the sequence may come to hold in this task: its blocks are promised before it starts. */
  readonly max_tokens: number;
  readonly signal: AbortSignal | undefined;
  /** Takes a call's result and gives the next call, or null when the task is done. */
  next(result: CallResult): Call | null;
  /**
   * What comes after the call under way, asked while its result is unknown: the call that feeds the token it draws
   * (of whose `tokens` only the number counts, and whose history ends before that token); `ends` when the task is
   * done with the result whatever it is; `waits` when only the result can tell. After a call was given, `next`
   * gives the same call or null; then what it computed is dropped.
   */
  ahead(): Call | "ends" | "waits";
  /** The task has ended: by null from `next`, by an error, or by an abort. */
  ended(error: unknown): void;
}

/** A call under way: what of it was given to the device, and the pieces of its results. */
export class RunningCall {
  readonly cached: number;
  /** Tokens given to the device so far. */
  given: number;
  #call: Call;
  #landed: number;
  readonly #results: StepResult[] = [];

  constructor(call: Call, cached: number) {
    this.#call = call;
    this.cached = cached;
    this.given = cached;
    this.#landed = cached;
  }

  get call(): Call {
    return this.#call;
  }

  /** Tokens not yet given. */
  get remaining(): number {
    return this.#call.tokens.length - this.given;
  }

  /** Whether every result is there. */
  get is_complete(): boolean {
    return this.#landed === this.#call.tokens.length;
  }

  /** Puts what is known now in the place of a call that was given ahead. */
  settle(call: Call): this {
    this.#call = call;
    return this;
  }

  /** Takes the results of the next `count` tokens, and gives these tokens. */
  accept(result: StepResult, count: number): Int32Array {
    this.#landed += count;
    this.#results.push(result);
    return this.#call.tokens.subarray(this.#landed - count, this.#landed);
  }

  /** What it gave, once it is complete. */
  finish(): CallResult {
    const n_fed = this.#landed - this.cached;
    const { token, logprobs, logits, captures, projections } = joinResults(this.#results, n_fed);
    const rows = Array.from({ length: projections.length / n_fed }, (_, row) =>
      projections.slice(row * n_fed, (row + 1) * n_fed),
    );
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
