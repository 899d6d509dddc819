import { CapstanError, show } from "../../models/index.ts";
import { PAGE_BYTES, Pages, type Ranged } from "../platform/index.ts";
import type { FileSource } from "../types.ts";
import { isPlainName, notInside } from "./folder.ts";

/** A file on a server, with what of it is here. */
interface UrlFile extends Ranged {
  pages: Pages;
}

/**
 * A folder on an HTTP server as a file source, read by range: the files' sizes and first pages come in one request
 * each, then only what is asked for. A server that knows no ranges gives whole files, which are kept in memory.
 *
 * @param url the folder's, with or without its last slash
 * @throws CapstanError from its calls: `not_found` when the server cannot be reached, `bad_file` for an answer that
 *   is no file, or for a file that changed between two reads
 */
export function urlSource(url: string): FileSource {
  const base = new URL(url);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  const opened = new Map<string, Promise<UrlFile | undefined>>();
  const open = (name: string): Promise<UrlFile | undefined> => {
    if (!isPlainName(name)) return Promise.reject(notInside(base.href, name));
    const file = opened.get(name) ?? openUrl(fileUrl(base, name));
    opened.set(name, file);
    file.catch(() => opened.delete(name));
    return file;
  };
  return {
    size: async (name) => (await open(name))?.size,
    async read(name, start, end) {
      const file = await open(name);
      if (file === undefined) throw failed("not_found", fileUrl(base, name), "the file", "none of that name");
      return await file.pages.read(file, start, end);
    },
  };
}

/** The folder's query goes with every file: servers take tokens there. */
function fileUrl(base: URL, name: string): URL {
  const url = new URL(name.split("/").map(encodeURIComponent).join("/"), base);
  url.search = base.search;
  return url;
}

/** Asks for a file's first page, which tells its size too; undefined where there is none. */
async function openUrl(url: URL): Promise<UrlFile | undefined> {
  const response = await get(url, 0, PAGE_BYTES);
  if (response.status === 404 || response.status === 410 || isPage(response, url)) {
    await response.body?.cancel();
    return undefined;
  }
  // An empty file has no first byte to give.
  if (response.status === 416) return inMemory(new Uint8Array(0));
  if (response.status === 200) return inMemory(await bytesOf(response, url));
  const size = Number(/\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1]);
  if (response.status !== 206 || !Number.isSafeInteger(size)) throw unusable(response, url);
  const first = await bytesOf(response, url);
  if (first.length !== Math.min(size, PAGE_BYTES)) throw cutShort(url, Math.min(size, PAGE_BYTES), first);
  const version = versionOf(response);
  return {
    size,
    pages: new Pages(first),
    read: (start, end) => readRange(url, version, start, end),
  };
}

function inMemory(bytes: Uint8Array): UrlFile {
  const read = async (start: number, end: number) => bytes.slice(start, end);
  return { size: bytes.length, pages: new Pages(), read };
}

async function readRange(url: URL, version: string, start: number, end: number): Promise<Uint8Array> {
  if (start === end) return new Uint8Array(0);
  const response = await get(url, start, end);
  if (response.status !== 206) throw unusable(response, url);
  if (versionOf(response) !== version) {
    throw failed(
      "bad_file",
      url,
      "the file as it was when it was opened",
      "another one",
      "Load the model again.",
    );
  }
  const bytes = await bytesOf(response, url);
  if (bytes.length !== end - start) throw cutShort(url, end - start, bytes);
  return bytes;
}

async function get(url: URL, start: number, end: number): Promise<Response> {
  // A compressed answer would have ranges of its own; browsers ask for a plain one by themselves.
  const headers = { range: `bytes=${start}-${end - 1}`, "accept-encoding": "identity" };
  try {
    return await fetch(url, { headers });
  } catch (cause) {
    const mend = "Is the address right, and does its server allow this page to read (CORS)?";
    throw failed("not_found", url, "an answer", reasonOf(cause), mend);
  }
}

async function bytesOf(response: Response, url: URL): Promise<Uint8Array> {
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw failed("bad_file", url, "its bytes", reasonOf(cause), "The connection may have broken: try again.");
  }
}

/** Servers of applications answer any path with their page: there is no such file then. */
function isPage(response: Response, url: URL): boolean {
  const type = response.headers.get("content-type") ?? "";
  return type.startsWith("text/html") && !/\.html?$/.test(url.pathname);
}

function versionOf({ headers }: Response): string {
  return `${headers.get("etag")} ${headers.get("last-modified")}`;
}

function unusable(response: Response, url: URL): CapstanError {
  void response.body?.cancel();
  const { status, statusText } = response;
  return failed("bad_file", url, "status 200 or 206", `${status} ${statusText}`.trim());
}

function cutShort(url: URL, need: number, { length }: Uint8Array): CapstanError {
  return failed("bad_file", url, `${need} bytes`, `${length}`, "The connection may have broken: try again.");
}

function reasonOf(cause: unknown): string {
  const { message, cause: inner } = cause as { message?: string; cause?: { message?: string } };
  return show(inner?.message || message || String(cause));
}

function failed(
  code: "bad_file" | "not_found",
  { origin, pathname }: URL,
  need: string,
  found: string,
  mend?: string,
): CapstanError {
  // Without the query, which may hold a secret.
  const parts = { action: `read ${origin}${pathname}`, need, found };
  return new CapstanError(code, mend === undefined ? parts : { ...parts, mend });
}
