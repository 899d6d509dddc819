import { Fault } from "../python/errors.ts";
import type { Activation } from "../runtime/rendering.ts";

/** Runs what stands at a line: a fault knows the line of the innermost statement or print that ran. */
export function locatedAt<T>(line: number, run: (at: Activation) => T): (at: Activation) => T {
  return (at) => {
    try {
      return run(at);
    } catch (error) {
      throw faultAt(error, line);
    }
  };
}

function faultAt(error: unknown, line: number): unknown {
  if (error instanceof Fault) {
    error.line ??= line;
    return error;
  }
  // The stack's end, and texts beyond what the engine can hold.
  return error instanceof RangeError ? new Fault("Bounds", "what is nested too deeply", line) : error;
}
