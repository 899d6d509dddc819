import { CapstanError } from "../../../models/index.ts";
import type { BlockPool } from "./block_pool.ts";

/** A sequence that needs `n_blocks`, more than there can be. */
export function tooLarge({ block_size, limit }: BlockPool, n_blocks: number): CapstanError {
  return new CapstanError("out_of_memory", {
    action: "run the model",
    need: `a cache of at least ${n_blocks * block_size} tokens`,
    found: `memory for ${limit * block_size}`,
    fix: "A shorter prompt, or weights in a smaller dtype, take less.",
  });
}

/** Numbers ceased to be finite. */
export function nonFiniteError(where: string): CapstanError {
  return new CapstanError("non_finite", {
    action: "run the model",
    need: `finite numbers in the ${where === "logits" ? "logits" : "residual stream"}`,
    found: "NaN or infinity",
    fix: "A hook with a huge coefficient, or weights beyond the range of float32, can do this.",
  });
}

/** No place for another request. @param retry_after seconds */
export function busyError(need: string, found: string, retry_after: number): CapstanError {
  const fix = `Try again in ${retry_after} s.`;
  return new CapstanError("busy", { action: "run the model", need, found, fix }, { retry_after });
}

export function drainingError(): CapstanError {
  return busyError("a model that takes requests", "one that is being drained", 1);
}

export function disposedError(): CapstanError {
  return new CapstanError("device_lost", {
    action: "run the model",
    need: "a loaded model",
    found: "one that was disposed",
    fix: "Load it again.",
  });
}
