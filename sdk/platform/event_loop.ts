import { is_workerd } from "./system.ts";

/**
 * Lets timers, signals and sockets have their turn: a macrotask, as short as the runtime has one. In workerd a channel
 * belongs to the request that opened it, and every other request would wait on it for ever.
 */
export const yieldToEventLoop: () => Promise<void> =
  typeof setImmediate === "function"
    ? () => new Promise((resolve) => setImmediate(resolve))
    : typeof MessageChannel === "function" && !is_workerd
      ? messageLoop()
      : () => new Promise((resolve) => setTimeout(resolve, 0));

/**
 * Whether a wait ends for good with the request that began it, and time stands still between waits: then work that
 * several requests share must go on in each of them, and yield at every turn.
 */
export const io_bound_to_request: boolean = is_workerd;

/** A browser's timers wait 4 ms once they nest; a message to oneself does not. */
function messageLoop(): () => Promise<void> {
  const { port1, port2 } = new MessageChannel();
  const waiting: (() => void)[] = [];
  port1.addEventListener("message", () => waiting.shift()?.());
  port1.start();
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      port2.postMessage(null);
    });
}
