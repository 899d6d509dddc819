import { Hono } from "hono";
import { cors } from "hono/cors";
import { HTTPException } from "hono/http-exception";
import { ApiError, toApiError } from "./errors.ts";
import { causesOf, type Log, RequestLog } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { hostsOf, isLoopback, names } from "./policy/hosts.ts";
import { identify } from "./policy/keys.ts";
import { addChat } from "./routes/chat.ts";
import { addCompletions } from "./routes/completions.ts";
import type { App, Env, Shared } from "./routes/context.ts";
import { addEmbeddings } from "./routes/embeddings.ts";
import { addHealth } from "./routes/health.ts";
import { addModels } from "./routes/models.ts";
import { addOpenApi } from "./routes/openapi.ts";
import { addPage, type FindPageFile } from "./routes/page.ts";
import { addResponses } from "./routes/responses.ts";
import { Service, type ServiceOptions } from "./service/service.ts";
import { makeId } from "./wire/ids.ts";

/** What an app is made of. */
export interface AppOptions extends ServiceOptions {
  /** A service made before: its models and policy, which it may change while the app runs. Default: one of these options. */
  service?: Service;
  /** Called with each line of the log. Default: none. */
  log?: Log;
  /**
   * Whether it is reached at a loopback address alone. Then, where it asks for no key and the policy names no `hosts`, requests
   * for other hosts than loopback's are refused: a page that points a name of its own at this machine is not served (DNS
   * rebinding). Default: false.
   */
  is_loopback?: boolean;
  /** Lines that `/metrics` has beside the app's own, in Prometheus' text format, such as of the process. Default: none. */
  more_metrics?: () => readonly string[];
  /** Finds the files of the page at `/`. Default: no page. */
  page?: FindPageFile;
}

/**
 * The HTTP app: an OpenAI-compatible API over capped models, for any runtime that hono serves.
 *
 * @throws CapstanError `bad_file` for a policy that is none
 * @example
 * const app = createApp({ models: { tiny: await load("capstan-tiny") } });
 * const response = await app.request("/v1/models");
 */
export function createApp(options: AppOptions = {}): App {
  const service = options.service ?? new Service(options);
  const shared: Shared = {
    service,
    metrics: new Metrics(),
    more_metrics: options.more_metrics ?? (() => []),
    log: options.log ?? (() => {}),
  };
  const app: App = new Hono<Env>();
  addRequestLog(app, shared);
  addHosts(app, service, options.is_loopback ?? false);
  addHealth(app, shared);
  addOpenApi(app);
  addGate(app, shared);
  addModels(app, shared);
  addChat(app, shared);
  addCompletions(app, shared);
  addResponses(app, shared);
  addEmbeddings(app, shared);
  if (options.page !== undefined) addPage(app, options.page);
  app.notFound((c) => {
    const allow = methodsOf(app, c.req.path);
    if (allow.length > 0) {
      if (c.req.method === "OPTIONS") return c.body(null, 204, { allow: allow.join(", ") });
      const message = `${c.req.method} is not a method of this URL: ${allow.join(", ")}.`;
      throw new ApiError(405, message, { code: "method_not_allowed", allow });
    }
    const message = `Unknown request URL: ${c.req.method} ${c.req.path.slice(0, 200)}.`;
    throw new ApiError(404, message, { code: "unknown_url" });
  });
  app.onError((error, c) => {
    const failed = asApiError(error);
    const { request_log } = c.var;
    if (request_log !== undefined) {
      request_log.fields.code = failed.code;
      if (failed.status >= 500 && failed.status !== 504)
        request_log.fields.cause = causesOf(failed.cause ?? failed);
    }
    if (failed.retry_after !== undefined) c.header("retry-after", String(failed.retry_after));
    if (failed.allow !== undefined) c.header("allow", failed.allow.join(", "));
    if (failed.status === 401) c.header("www-authenticate", "Bearer");
    return c.json(failed.body, failed.status as 400);
  });
  return app;
}

/** Methods that a path has a handler for; HEAD goes with GET, and what answers every method is a step before it. */
function methodsOf(app: App, path: string): string[] {
  const has = (method: string) =>
    app.router.match(method, path)[0].some(([[, route]]) => (route as { method: string }).method === method);
  const found = ["GET", "POST"].filter(has);
  return found.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method]));
}

function asApiError(error: unknown): ApiError {
  if (!(error instanceof HTTPException)) return toApiError(error);
  const status = error.status === 413 ? 413 : error.status < 500 ? 400 : 500;
  return new ApiError(status, status === 500 ? "The server had an error." : error.message, { cause: error });
}

/** Ids, headers, and one line of the log for every request. */
function addRequestLog(app: App, { log, metrics }: Shared): void {
  app.use(async (c, next) => {
    const given = c.req.header("x-request-id") ?? "";
    const request_id = /^[\w.-]{1,100}$/.test(given) ? given : makeId("req_");
    const request_log = new RequestLog((fields, ms) => {
      const status = fields.status ?? 500;
      const level = status >= 500 ? "error" : "info";
      const route = fields.route ?? "none";
      metrics.requests.add({ route, method: c.req.method, status: String(status) });
      metrics.duration.observe({ gen_ai_operation_name: route }, ms / 1000);
      const own = {
        time: new Date().toISOString(),
        level,
        event: "request",
        request_id,
        method: c.req.method,
      } as const;
      log({ ...own, ...fields, ms: Math.round(ms * 10) / 10 });
    });
    c.set("request_id", request_id);
    c.set("request_log", request_log);
    c.set("release", () => {});
    await next();
    c.header("x-request-id", request_id);
    c.header("x-content-type-options", "nosniff");
    // Answers are data: a browser that shows one loads and runs nothing. The page has a policy of its own.
    if (!c.res.headers.has("content-security-policy"))
      c.header("content-security-policy", "default-src 'none'; frame-ancestors 'none'");
    request_log.fields.status = c.res.status;
    request_log.fields.route = routeOf(c.req.path, c.res.status);
    if (request_log.is_streaming) return;
    c.var.release();
    request_log.done();
  });
}

/** Refuses requests for hosts that are not this server's. */
function addHosts(app: App, service: Service, is_loopback: boolean): void {
  app.use(async (c, next) => {
    const { hosts, keys, anonymous } = service.policy;
    const is_open = Object.keys(keys).length === 0 || (anonymous ?? false) !== false;
    const asked = hostsOf(c.req.url, c.req.header("host"));
    const isServed = (host: string) =>
      hosts === undefined ? !is_loopback || !is_open || isLoopback(host) : names(hosts, host);
    const foreign = asked.find((host) => !isServed(host));
    if (foreign === undefined) return await next();
    const message = `This server does not serve the host ${JSON.stringify(foreign.slice(0, 200))}.`;
    throw new ApiError(403, message, { code: "host_not_allowed" });
  });
}

/** The pattern of a path: names in paths would give the counters a series each. */
function routeOf(path: string, status: number): string {
  if (path.startsWith("/v1/models/")) return "/v1/models/{model}";
  return status === 404 ? "none" : path;
}

/** What stands before the API: the state to serve from, CORS, keys, limits of each client. */
function addGate(app: App, { service }: Shared): void {
  app.use("/v1/*", async (c, next) => {
    c.set("state", await service.state());
    await next();
  });
  app.use("/v1/*", async (c, next) => {
    const { policy } = c.var.state;
    if (policy.cors.length === 0) return await next();
    const exposed = ["x-request-id", "x-capstan-cap", "x-capstan-drift", "x-capstan-alert", "retry-after"];
    return await cors({ origin: policy.cors, exposeHeaders: exposed, maxAge: 600 })(c, next);
  });
  app.use("/v1/*", async (c, next) => {
    const client = await identify(c.var.state.policy, c.req.header("authorization"));
    c.set("client", client);
    c.var.request_log.fields.client = client.name;
    c.set("release", service.rates.begin(client));
    await next();
  });
}
