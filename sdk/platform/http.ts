import { CapstanError } from "../../models/index.ts";

/** A server that listens. */
export interface HttpListener {
  /** `http://127.0.0.1:8080` */
  readonly origin: string;
  /** Takes no more connections; ends once the responses that are being sent have ended, or `signal` is aborted. */
  close(signal: AbortSignal): Promise<void>;
}

/** Where a server listens. */
export interface HttpOptions {
  /** A name or address of this machine. */
  host: string;
  /** From 0 (any free one) to 65535. */
  port: number;
}

interface DenoServer {
  readonly addr: { hostname: string; port: number };
  shutdown(): Promise<void>;
}

interface DenoServe {
  serve(
    options: { hostname: string; port: number; signal: AbortSignal; onListen: () => void },
    handler: (request: Request) => Response | Promise<Response>,
  ): DenoServer;
}

/** Deno's own server, which answers with what `fetch` gives. @throws CapstanError `network` */
export function serveOnDeno(
  fetch: (request: Request) => Response | Promise<Response>,
  { host, port }: HttpOptions,
): HttpListener {
  const { Deno: deno } = globalThis as unknown as { Deno: DenoServe };
  const end = new AbortController();
  try {
    const server = deno.serve({ hostname: host, port, signal: end.signal, onListen: () => {} }, fetch);
    return {
      origin: originOf(server.addr.hostname, server.addr.port),
      async close(signal) {
        const force = () => end.abort();
        signal.addEventListener("abort", force, { once: true });
        if (signal.aborted) force();
        await server.shutdown();
        signal.removeEventListener("abort", force);
      },
    };
  } catch (cause) {
    throw cannotListen(host, port, cause);
  }
}

export function originOf(host: string, port: number): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

export function cannotListen(host: string, port: number, cause: unknown): CapstanError {
  const found = cause instanceof Error ? cause.message : String(cause);
  const parts = { action: `listen at ${originOf(host, port)}`, need: "a free port that may be used", found };
  return new CapstanError("network", parts, { cause });
}
