import type { Scheduler } from "./scheduler/scheduler.ts";

/** What replies, forward calls and sessions need of a loaded model beside its public API. */
export interface Runtime {
  scheduler: Scheduler;
  addAccumulator(sites: readonly number[]): number;
  readAccumulator(id: number): Promise<{ mean: Float32Array; count: number }>;
  freeAccumulator(id: number): void;
  /** A new decoder of streamed ids into text; null for a model without a tokenizer. */
  streamDecoder(): StreamDecoder | null;
}

/** Turns ids into text as they come, never half a character. */
export interface StreamDecoder {
  /** Text that is complete after this id; "" while a character is not. */
  push(id: number): string;
  /** Whether some text is held that another id, or `flush`, completes. */
  readonly is_open: boolean;
  /** What is left at the end, incomplete characters as U+FFFD. */
  flush(): string;
}
