import { createReadStream, statSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";

/** A server of folders on this machine's loopback. */
export interface FileServer extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
}

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".json": "application/json",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/**
 * Serves folders under their mount points, whole files and ranges, and pages by their text: what any static server
 * does.
 *
 * @param mounts folders (absolute) by the path they appear under: `{ "/dist/": "/repo/dist" }`
 * @param pages texts by path: `{ "/": "<!doctype html>" }`
 */
export async function serve(
  mounts: Readonly<Record<string, string>>,
  pages: Readonly<Record<string, string>>,
): Promise<FileServer> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url!, "http://localhost");
    const page = pages[pathname];
    if (page !== undefined) {
      response.writeHead(200, { "content-type": TYPES[".html"] }).end(page);
      return;
    }
    const path = normalize(decodeURIComponent(pathname));
    const mount = Object.keys(mounts).find((at) => path.startsWith(at));
    if (mount === undefined) response.writeHead(404).end();
    else sendFile(request, response, join(mounts[mount]!, path.slice(mount.length)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function sendFile(request: IncomingMessage, response: ServerResponse, path: string): void {
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
  if (range === null) {
    response.writeHead(200, { ...headers, "content-length": stat.size });
    createReadStream(path).pipe(response);
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
  createReadStream(path, { start, end }).pipe(response);
}
