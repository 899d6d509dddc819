import type { AccumulatorId, SampleParams, SiteId, StepResult } from "../../models/index.ts";
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
  /** The task has ended: by null from `next`, by an error, or by an abort. */
  ended(error: unknown): void;
}

/** A call under way: what is fed, and the pieces of its results. */
export class RunningCall {
  readonly call: Call;
  readonly cached: number;
  #fed: number;
  readonly #logits: Float32Array[] = [];
  readonly #captures: Float32Array[][];
  readonly #projections: Float32Array[][];

  constructor(call: Call, cached: number, n_projections: number) {
    this.call = call;
    this.cached = cached;
    this.#fed = cached;
    this.#captures = call.captures.map(() => []);
    this.#projections = Array.from({ length: n_projections }, () => []);
  }

  get fed(): number {
    return this.#fed;
  }

  get remaining(): number {
    return this.call.tokens.length - this.#fed;
  }

  /** Takes the results of the next `count` tokens. */
  accept(result: StepResult, count: number): void {
    this.#fed += count;
    if (result.logits !== null) this.#logits.push(result.logits);
    for (const [index, values] of result.captures.entries()) this.#captures[index]!.push(values);
    for (const [row, pieces] of this.#projections.entries()) {
      pieces.push(result.projections.slice(row * count, (row + 1) * count));
    }
  }

  finish(last: StepResult): CallResult {
    return {
      token: last.token,
      logprobs: last.logprobs,
      logits: joined(this.#logits),
      captures: this.#captures.map(joined),
      projections: this.#projections.map(joined),
      cached: this.cached,
    };
  }
}

function joined(pieces: readonly Float32Array[]): Float32Array {
  if (pieces.length === 1) return pieces[0]!;
  const whole = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
