import { abortedError } from "../../../models/index.ts";
import { sleep } from "../../common/abort.ts";

/** Waits between tries grow from the first to the longest, in milliseconds. */
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30_000;

/** The clock that a pacer reads and waits by; tests put theirs here. */
export interface Clock {
  /** Milliseconds. */
  now(): number;
  wait(milliseconds: number, signal: AbortSignal | undefined): Promise<void>;
}

export const CLOCK: Clock = { now: () => performance.now(), wait: sleep };

/** Keeps requests apart as a rate limit wants it, and all of them back while the server asks for that. */
export class Pacer {
  readonly #gap: number;
  readonly #clock: Clock;
  #next = 0;
  #not_before = 0;

  /** @param rate requests a second; Infinity for no limit */
  constructor(rate: number, clock: Clock) {
    this.#gap = 1000 / rate;
    this.#clock = clock;
  }

  /** Waits for the turn of one request. @throws CapstanError `aborted` */
  async turn(signal: AbortSignal | undefined): Promise<void> {
    for (;;) {
      const now = this.#clock.now();
      const at = Math.max(this.#next, this.#not_before);
      if (at <= now) {
        this.#next = Math.max(this.#next, now) + this.#gap;
        return;
      }
      // Looked at again afterwards: others may have taken the turn, or the server may have asked for more time.
      await this.pause(at - now, signal);
    }
  }

  /** Holds every request back for so many milliseconds. */
  holdBack(milliseconds: number): void {
    this.#not_before = Math.max(this.#not_before, this.#clock.now() + milliseconds);
  }

  /** Before another try: a wait that doubles, a random half of it left out; `turn` adds what the server asked for. */
  async beforeTry(failures: number, signal: AbortSignal | undefined): Promise<void> {
    const most = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - 1));
    await this.pause(most * (0.5 + Math.random() / 2), signal);
  }

  async pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
    await this.#clock.wait(milliseconds, signal);
    if (signal?.aborted) throw abortedError("judge responses", signal);
  }
}
