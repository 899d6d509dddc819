import type { AccumulatorId, SampleParams, SiteId, StepResult } from "../../../models/index.ts";
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
  /** Projections of every position are wanted: what comes from the prefix cache is what has them, too. */
  projects_all?: boolean;
}

/** A call's results, put together over the chunks it was run in. */
export interface CallResult {
  token: number;
  logprobs: StepResult["logprobs"];
  /** [n_tokens * d_vocab] or [d_vocab] or empty. */
  logits: Float32Array;
  /** In the order of the call's `captures`, each [n_tokens * d_model]. */
  captures: Float32Array[];
  /** [n_projections][n_tokens fed], those from the prefix cache among them where the call `projects_all`. */
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
  /** Most tokens the sequence may come to hold in this task. */
  readonly max_tokens: number;
  readonly signal: AbortSignal | undefined;
  /** For whom it runs: clients are served alike. "" where nobody says. */
  readonly client: string;
  /** Where others are in the way: `wait` as long as it takes, or `refuse` when the queue is full. */
  readonly queue: "wait" | "refuse";
  /** Its prompt is one of many that come once: little of it stays in the prefix cache. */
  readonly is_brief?: boolean;
  /** Takes a call's result and gives the next call, or null when the task is done. */
  next(result: CallResult): Call | null;
  /**
   * What comes after the call in progress, asked while its result is unknown: the call that feeds the token it draws
   * (of whose `tokens` only the number counts, and whose history ends before that token); `ends` when the task is
   * done with the result whatever it is; `waits` when only the result can tell. After a call was given, `next`
   * gives the same call or null; then what it computed is dropped.
   */
  ahead(): Call | "ends" | "waits";
  /** The task has ended: by null from `next` (undefined), by an error, or by an abort. Called once. */
  ended(error: unknown): void;
}
