import { CapstanError } from "../models/errors.ts";

/** What callers asked for that is not there. */
export function unknownId(action: string, what: string, id: number): CapstanError {
  return new CapstanError("bad_request", { action, need: `a ${what} in use`, found: `${what} ${id}` });
}

export function refusedEntry(index: number, need: string, found: string): CapstanError {
  return new CapstanError("bad_request", { action: `run entry ${index} of a step`, need, found });
}
