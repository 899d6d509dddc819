import { CapstanError } from "../../models/index.ts";
import type { Model } from "../types.ts";
import type { Scheduler } from "./scheduler/scheduler.ts";

/** What the verbs need of a model beside its public face. */
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

const runtimes = new WeakMap<Model, Runtime>();

export function setRuntime(model: Model, runtime: Runtime): void {
  runtimes.set(model, runtime);
}

export function runtimeOf(model: Model): Runtime {
  const runtime = runtimes.get(model);
  if (runtime !== undefined) return runtime;
  throw new CapstanError("bad_request", {
    action: "use a model",
    need: "what load() gave",
    found: typeof model,
  });
}
