import { describe, expect, it } from "vitest";
import { type Clock, measureLag } from "./event_loop.ts";

/** A clock that stands still but for what the work takes: a timer is called when it is due, or when the thread is free. */
class FakeClock implements Clock {
  #now = 0;
  #timers: { at: number; call: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, call: () => void): () => void {
    const timer = { at: this.#now + ms, call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Holds the thread. */
  busy(ms: number): void {
    this.#now += ms;
  }

  /** Leaves the thread to what is due, until `ms` have passed. */
  idle(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = Math.max(this.#now, next.at);
      next.call();
    }
    this.#now = Math.max(this.#now, end);
  }
}

describe("the event loop's lag", () => {
  it("is none on a thread that is free", async () => {
    const clock = new FakeClock();
    expect(await measureLag(async () => clock.idle(1000), clock)).toEqual({ p50: 0, p99: 0, max: 0 });
  });

  it("counts each time that something was due while the thread was held, the last stretch too", async () => {
    const clock = new FakeClock();
    // Due at 5, 10, ..., 100: they wait 95, 90, ..., 0.
    const lag = await measureLag(async () => clock.busy(100), clock);
    expect(lag).toEqual({ p50: 45, p99: 95, max: 95 });
  });

  it("is that of the share of the time that the thread was held", async () => {
    const clock = new FakeClock();
    const lag = await measureLag(async () => {
      // 1,000 dues, of which 20 wait, up to 95 ms.
      for (let n = 0; n < 49; n++) clock.idle(100);
      clock.busy(100);
      clock.idle(0);
    }, clock);
    // The 990th of 1,000: ten wait longer.
    expect(lag).toEqual({ p50: 0, p99: 45, max: 95 });
  });

  it("of work that failed is nobody's, and no timer is left", async () => {
    const clock = new FakeClock();
    const failing = async () => {
      clock.idle(50);
      throw new Error("no");
    };
    await expect(measureLag(failing, clock)).rejects.toThrow("no");
    clock.idle(1000);
    expect(clock.now()).toBe(1050);
  });
});
