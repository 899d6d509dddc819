import { system } from "./system.ts";

/**
 * Calls back every so many milliseconds, without keeping the process alive.
 *
 * @returns a function that ends it
 */
export function every(ms: number, call: () => void): () => void {
  const { setInterval, clearInterval } = system("node:timers", "wait");
  const timer = setInterval(call, ms).unref();
  return () => clearInterval(timer);
}
