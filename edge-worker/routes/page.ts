import type { Context } from "hono";
import { sha256 } from "../../sdk/platform/index.ts";
import type { App, Env } from "./context.ts";

/** A static file of the page. */
export interface PageFile {
  bytes: Uint8Array;
  /** `text/html; charset=utf-8` */
  type: string;
}

/** Finds the page's files by their path on the server (`/`, `/page/page.js`); null for what is none of them. */
export type FindPageFile = (path: string) => Promise<PageFile | null>;

/** A file as it is sent. */
interface ReadyFile extends PageFile {
  bytes: Uint8Array<ArrayBuffer>;
  etag: string;
  packed: Uint8Array<ArrayBuffer> | null;
}

/** What is smaller when it is packed; weights are not. */
const PACKED = /^(text\/|application\/(json|wasm|manifest\+json))/;

/**
 * The page may load and run what this server has, and nothing else. Where the model runs in the page (`?local`), it may also
 * fetch weights from the hub, which sends on to hosts of its own.
 */
const HUB = "https://huggingface.co https://*.huggingface.co https://*.hf.co";
const policyOf = (connect: string) =>
  [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "worker-src 'self'",
    "manifest-src 'self'",
    `connect-src 'self'${connect}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");

/** `GET /` and the files it loads. */
export function addPage(app: App, find: FindPageFile): void {
  const files = new Map<string, Promise<ReadyFile | null>>();
  // Not a route of its own: what the page has no file for is no URL, whatever its method.
  app.use("*", async (c, next) => {
    const { path, method } = c.req;
    if (path.startsWith("/v1/") || (method !== "GET" && method !== "HEAD")) return await next();
    // Only names that there are stay in the table.
    const file = await (files.get(path) ?? find(path).then((found) => found && keep(path, found)));
    return file === null ? await next() : send(c, file);
  });
  function keep(path: string, found: PageFile): Promise<ReadyFile | null> {
    const ready = prepare(found);
    files.set(path, ready);
    return ready;
  }
}

async function prepare({ bytes: given, type }: PageFile): Promise<ReadyFile> {
  const bytes = Uint8Array.from(given);
  const etag = `"${(await sha256(bytes)).slice(0, 32)}"`;
  return { bytes, type, etag, packed: PACKED.test(type) ? await gzip(bytes) : null };
}

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

function send(c: Context<Env>, { bytes, type, etag, packed }: ReadyFile): Response {
  const is_local = new URL(c.req.url).searchParams.has("local");
  c.header("content-security-policy", policyOf(is_local ? ` ${HUB}` : ""));
  c.header("referrer-policy", "no-referrer");
  c.header("content-type", type);
  // Names have no digests in them: each use asks, and is answered 304.
  c.header("cache-control", "no-cache");
  c.header("etag", etag);
  c.header("vary", "accept-encoding");
  c.header("accept-ranges", "bytes");
  const known = c.req.header("if-none-match")?.split(",") ?? [];
  if (known.some((tag) => tag.trim().replace(/^W\//, "") === etag)) return c.body(null, 304);
  const range = rangeOf(c.req.header("range"), bytes.length);
  if (range === "none") return c.body(bytes);
  if (range === "unsatisfiable") {
    c.header("content-range", `bytes */${bytes.length}`);
    return c.body(null, 416);
  }
  if (range !== null) {
    c.header("content-range", `bytes ${range.start}-${range.end - 1}/${bytes.length}`);
    return c.body(bytes.subarray(range.start, range.end), 206);
  }
  if (packed === null || !/\bgzip\b/.test(c.req.header("accept-encoding") ?? "")) return c.body(bytes);
  c.header("content-encoding", "gzip");
  return c.body(packed);
}

/** The one range that is asked for, [start, end); null where none is; `none` for what is served whole all the same. */
function rangeOf(
  header: string | undefined,
  size: number,
): { start: number; end: number } | "none" | "unsatisfiable" | null {
  if (header === undefined) return null;
  const [, first = "", last = ""] = /^bytes=(\d*)-(\d*)$/.exec(header.trim()) ?? [];
  if (first === "" && last === "") return "none";
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1);
  return start < end ? { start, end } : "unsatisfiable";
}
