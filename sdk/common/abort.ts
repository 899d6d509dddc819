/** Who is to be called, by the signal that they wait for. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls back once when a signal aborts, at once where it has; gives a function that ends the wait. Any number may wait on
 * one signal: it gets one listener (Node warns of a leak from the eleventh on).
 */
export function onAbort(signal: AbortSignal | undefined, call: () => void): () => void {
  if (signal === undefined) return () => {};
  if (signal.aborted) {
    call();
    return () => {};
  }
  let set = waiting.get(signal);
  if (set === undefined) {
    const all = new Set<() => void>();
    set = all;
    waiting.set(signal, all);
    signal.addEventListener("abort", () => all.forEach((one) => void one()), { once: true });
  }
  // A function of its own: the same one may wait twice.
  const once = () => call();
  set.add(once);
  return () => void set.delete(once);
}

/** Waits some milliseconds, or until the signal ends the wait; the caller looks at the signal. */
export function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      end();
      resolve();
    };
    const timer = setTimeout(over, milliseconds);
    let end = () => {};
    end = onAbort(signal, over);
  });
}
