import { every, memory } from "../../sdk/platform/index.ts";
import { gauge, Histogram } from "../metrics.ts";

/** Milliseconds between two looks at the clock. */
const PERIOD_MS = 20;
const LAGS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

/**
 * What a server that is a process of its own says of it in `/metrics`: how late its event loop is, and the memory it holds.
 * Workers have neither: their time stands still while code runs.
 */
export class ProcessWatch {
  readonly #lag = new Histogram(
    "capstan_event_loop_lag_seconds",
    `How much later than asked a timer of ${PERIOD_MS} ms was called.`,
    LAGS,
  );
  readonly #stop: () => void;

  constructor() {
    let last = performance.now();
    this.#stop = every(PERIOD_MS, () => {
      const now = performance.now();
      this.#lag.observe({}, Math.max(0, now - last - PERIOD_MS) / 1000);
      last = now;
    });
  }

  lines(): string[] {
    const resident = memory().resident;
    return [
      ...this.#lag.lines(),
      ...gauge("process_resident_memory_bytes", "Resident memory size in bytes.", [[{}, resident]]),
    ];
  }

  stop(): void {
    this.#stop();
  }
}
