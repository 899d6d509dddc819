import { createAdaptorServer, getRequestListener, RequestError } from "@hono/node-server";
import { cannotListen, type HttpListener, type HttpOptions, originOf } from "../../sdk/platform/http.ts";
import { ApiError, toApiError } from "../errors.ts";

/** An app in Node, on its own HTTP server. TLS is the platform's: a proxy or a balancer in front. */

/** Milliseconds for a request's headers and for the whole of it. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 60_000;
/** Longer than balancers keep idle connections (60 s as a rule): they close one, never the server under a request. */
const KEEP_ALIVE_MS = 75_000;
const MOST_HEADER_BYTES = 16_384;

interface NodeServer {
  on(event: "error", listener: (error: Error) => void): void;
  on(event: "request", listener: ReturnType<typeof getRequestListener>): void;
  on(event: "clientError", listener: (error: NodeJS.ErrnoException, socket: NodeSocket) => void): void;
  removeAllListeners(event: "request"): void;
  off(event: "error", listener: (error: Error) => void): void;
  listen(port: number, host: string, listening: () => void): void;
  address(): { address: string; port: number } | string | null;
  close(closed: () => void): void;
  closeIdleConnections(): void;
  closeAllConnections(): void;
}

interface NodeSocket {
  readonly writable: boolean;
  end(text: string): void;
  destroy(): void;
}

/** @throws CapstanError `network` where the port is taken */
export async function serveOnNode(
  fetch: (request: Request) => Response | Promise<Response>,
  { host, port }: HttpOptions,
): Promise<HttpListener> {
  const server = createAdaptorServer({
    fetch,
    serverOptions: {
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: MOST_HEADER_BYTES,
    },
  }) as unknown as NodeServer;
  server.on("clientError", refuseMalformed);
  server.removeAllListeners("request");
  server.on("request", getRequestListener(fetch, { errorHandler: refuseUnreadable }));
  await new Promise<void>((resolve, reject) => {
    const onError = (cause: Error) => reject(cannotListen(host, port, cause));
    server.on("error", onError);
    server.listen(port, host, () => {
      server.off("error", onError);
      resolve();
    });
  });
  const address = server.address() as { address: string; port: number };
  return {
    origin: originOf(address.address, address.port),
    close: (signal) =>
      new Promise((resolve) => {
        const force = () => server.closeAllConnections();
        signal.addEventListener("abort", force, { once: true });
        server.close(() => {
          signal.removeEventListener("abort", force);
          resolve();
        });
        server.closeIdleConnections();
        if (signal.aborted) force();
      }),
  };
}

/** A target or a `Host` that makes no URL (`OPTIONS *`, a host with spaces) does not reach the app either. */
function refuseUnreadable(error: unknown): Response {
  const { status, body } =
    error instanceof RequestError
      ? new ApiError(400, "The request's target and Host make no URL.", { code: "invalid_http" })
      : toApiError(error);
  return Response.json(body, { status });
}

/** What is no HTTP never reaches the app: it is answered in the same shape. */
function refuseMalformed({ code }: NodeJS.ErrnoException, socket: NodeSocket): void {
  if (!socket.writable || code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const [status, reason, message] =
    code === "HPE_HEADER_OVERFLOW"
      ? ([431, "Request Header Fields Too Large", "The request's headers are too large."] as const)
      : code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? ([408, "Request Timeout", "The request did not come in time."] as const)
        : ([400, "Bad Request", "The request is not valid HTTP."] as const);
  const body = JSON.stringify(new ApiError(400, message, { code: "invalid_http" }).body);
  const head = `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/json\r\nconnection: close`;
  socket.end(`${head}\r\ncontent-length: ${new TextEncoder().encode(body).length}\r\n\r\n${body}`);
}
