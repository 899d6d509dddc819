import { ApiError } from "../errors.ts";
import type { Client } from "./keys.ts";

/** What each client is at: requests that run, and how many it may begin now. */
interface Usage {
  n_running: number;
  /** Requests it may begin, filled up by the minute's rate. */
  allowance: number;
  /** When the allowance was last filled up, in ms. */
  at: number;
}

/** Limits by client. It keeps no timers: those of a worker end with the request that set them. */
export class ClientRates {
  readonly #usage = new Map<string, Usage>();
  readonly #now: () => number;

  /** @param now a clock in ms */
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * Counts a request in.
   *
   * @returns a function that counts it out again
   * @throws ApiError 429
   */
  begin({ name, rules, rules_at }: Client): () => void {
    const { requests_per_minute, max_running } = rules;
    const usage = this.#of(name, requests_per_minute);
    if (max_running !== undefined && usage.n_running >= max_running) {
      throw tooMany(
        `No more than ${max_running} requests at one time (policy rule: ${rules_at}.max_running).`,
        1,
      );
    }
    if (requests_per_minute !== undefined) {
      if (usage.allowance < 1) {
        const seconds = Math.ceil(((1 - usage.allowance) * 60) / requests_per_minute);
        const rule = `${rules_at}.requests_per_minute`;
        throw tooMany(
          `No more than ${requests_per_minute} requests a minute (policy rule: ${rule}).`,
          seconds,
        );
      }
      usage.allowance--;
    }
    usage.n_running++;
    let has_ended = false;
    return () => {
      if (!has_ended) usage.n_running--;
      has_ended = true;
    };
  }

  #of(name: string, per_minute = 1): Usage {
    const now = this.#now();
    const usage = this.#usage.get(name) ?? { n_running: 0, allowance: per_minute, at: now };
    usage.allowance = Math.min(per_minute, usage.allowance + ((now - usage.at) / 60_000) * per_minute);
    usage.at = now;
    this.#usage.set(name, usage);
    return usage;
  }
}

function tooMany(message: string, retry_after: number): ApiError {
  return new ApiError(429, message, { code: "rate_limit_exceeded", retry_after });
}
