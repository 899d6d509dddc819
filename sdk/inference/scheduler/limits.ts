export interface SchedulerLimits {
  /** Longest sequence, in tokens. */
  n_ctx: number;
  /** Most KV blocks held at once. */
  max_blocks: number;
  /** Most tokens in a step: long prompts go in chunks, so that others are not kept waiting. */
  max_step_tokens: number;
  /** Most sequences in a step. */
  max_step_sequences: number;
  /** Most tasks that wait where callers would rather be refused than wait. */
  max_queue: number;
}
