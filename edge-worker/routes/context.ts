import type { Context, Hono } from "hono";
import type { Log, RequestLog } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Client } from "../policy/keys.ts";
import type { Service, ServiceState } from "../service/service.ts";

/** What every handler finds in its context. */
export interface Env {
  Variables: {
    request_id: string;
    request_log: RequestLog;
    /** The policy and models that this request sees to its end. */
    state: ServiceState;
    client: Client;
    /** Counts the request out of its client's limits. */
    release: () => void;
  };
}

export type App = Hono<Env>;
export type RequestContext = Context<Env>;

/** What the routes of an app share. */
export interface Shared {
  readonly service: Service;
  readonly metrics: Metrics;
  readonly more_metrics: () => readonly string[];
  readonly log: Log;
}

/** Lets work go on after the response where the runtime would end it (workers). */
export function keepAlive(c: RequestContext, work: Promise<unknown>): void {
  const settled = work.catch(() => {});
  let context: { waitUntil(promise: Promise<unknown>): void } | undefined;
  try {
    context = c.executionCtx;
  } catch {
    return;
  }
  context?.waitUntil(settled);
}
