import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CapstanError } from "../../models/index.ts";
import { system } from "./system.ts";

/** A server on this machine's loopback. */
export interface LocalServer extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
}

export interface LocalServerOptions {
  /** Folders (absolute) by the path they are served under: `{ "/dist/": "/repo/dist" }`. Entries may be added later. */
  folders: Readonly<Record<string, string>>;
  /** What a path is answered with before any folder is looked at; undefined for what it does not know. */
  answer?: (path: string, body: string) => Promise<{ type: string; text: string } | undefined>;
}

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".json": "application/json",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** Serves folders, whole files and ranges of them, as any static server does, on a free port of the loopback. */
export async function serveLocally({ folders, answer }: LocalServerOptions): Promise<LocalServer> {
  const { createServer } = system("node:http", "serve files");
  const server = createServer((request, response) => {
    respond(request, response, folders, answer).catch((error: unknown) => {
      response.writeHead(500).end(String(error));
    });
  });
  await listen(server);
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const parts = { action: "serve files", need: "a port of the loopback", found: String(cause) };
      reject(new CapstanError("network", parts, { cause }));
    });
    server.listen(0, "127.0.0.1", resolve);
  });
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  folders: LocalServerOptions["folders"],
  answer: LocalServerOptions["answer"],
): Promise<void> {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  const answered = await answer?.(pathname, await bodyOf(request));
  if (answered !== undefined) {
    response.writeHead(200, { "content-type": answered.type }).end(answered.text);
    return;
  }
  const path = system("node:path", "serve files").posix.normalize(decodeURIComponent(pathname));
  const [mount, folder] = Object.entries(folders).find(([at]) => path.startsWith(at)) ?? [];
  if (mount === undefined || folder === undefined || path.includes("\\")) response.writeHead(404).end();
  else sendFile(request, response, folder, path.slice(mount.length));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of request) text += decoder.decode(chunk as Uint8Array, { stream: true });
  return text + decoder.decode();
}

function sendFile(request: IncomingMessage, response: ServerResponse, folder: string, name: string): void {
  const { createReadStream, statSync } = system("node:fs", "serve files");
  const { extname, join } = system("node:path", "serve files");
  const path = join(folder, name);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat?.isFile()) {
    response.writeHead(404).end();
    return;
  }
  const headers = {
    "content-type": TYPES[extname(path)] ?? "application/octet-stream",
    "accept-ranges": "bytes",
  };
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  const send = (part?: { start: number; end: number }) =>
    createReadStream(path, part)
      .on("error", () => response.destroy())
      .pipe(response);
  if (range === null) {
    response.writeHead(200, { ...headers, "content-length": stat.size });
    send();
    return;
  }
  const start = Number(range[1]);
  const end = Math.min(Number(range[2]), stat.size - 1);
  if (start > end) {
    response.writeHead(416, { "content-range": `bytes */${stat.size}` }).end();
    return;
  }
  const content_range = `bytes ${start}-${end}/${stat.size}`;
  response.writeHead(206, { ...headers, "content-range": content_range, "content-length": end - start + 1 });
  send({ start, end });
}
