import { has_system, system } from "./system.ts";

/**
 * Promises that never settle. Where nothing is left that a process could wait for, it ends, and whoever awaits such a
 * promise is never heard of again: Node ends with code 13, Deno with an error of its own, and neither says what was awaited.
 */

/** What to do once nothing is left, innermost wait last. */
const waits: (() => void)[] = [];
let is_listening = false;

/**
 * Settles as `work` does. Where that can never settle, for the process is about to end, it rejects with `stuck()`; on an
 * abort it rejects with the signal's reason, and `work` is left to itself.
 *
 * @example
 * await unlessStuck(Promise.resolve(3), () => new Error("the judge never answers"));
 */
export async function unlessStuck<T>(
  work: T | Promise<T>,
  stuck: () => Error,
  signal?: AbortSignal,
): Promise<T> {
  if (!(work instanceof Promise)) return work;
  listen();
  let end: ((error: unknown) => void) | undefined;
  const ended = new Promise<never>((_, reject) => {
    end = reject;
  });
  const onIdle = () => end?.(stuck());
  // A signal of this wait's own: of one with many listeners Node warns.
  const own = signal === undefined ? undefined : AbortSignal.any([signal]);
  const onAbort = () => end?.(own!.reason);
  if (own?.aborted) onAbort();
  waits.push(onIdle);
  own?.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, ended]);
  } finally {
    own?.removeEventListener("abort", onAbort);
    const at = waits.indexOf(onIdle);
    if (at >= 0) waits.splice(at, 1);
  }
}

function listen(): void {
  if (is_listening || !has_system) return;
  is_listening = true;
  system("node:process", "see what never settles").on("beforeExit", () => {
    const wait = waits.pop();
    if (wait === undefined) return;
    wait();
    // Another turn of the loop, so that a wait around this one is asked too.
    setTimeout(() => {}, 0);
  });
}
