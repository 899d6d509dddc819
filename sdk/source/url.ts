import { CapstanError, show } from "../../models/index.ts";
import type { FileSource } from "../types.ts";
import { isPlainName } from "./folder.ts";
import { type FileVersion, HttpClient, type HttpOptions } from "./http.ts";

/** What the first request for a file asks for: the whole of a small one, the header of most weight files. */
const FIRST_BYTES = 64 * 1024;
/** The largest file taken whole, into memory, from a server that knows no byte ranges. */
const MOST_WHOLE = 64 * 2 ** 20;
/** Short reads come from pages of this size, of which the last few are kept: one request for many small tensors. */
const PAGE_BYTES = 2 ** 20;
const PAGES_KEPT = 2;

interface Opened {
  url: string;
  version: FileVersion;
  /** The file's first bytes, or all of them. */
  first: Uint8Array;
  pages: Map<number, Promise<Uint8Array>>;
}

/**
 * A folder behind HTTP as a file source, read by byte ranges with retries (`HttpClient`). A file that changes
 * between two reads is an error, never a mixture.
 *
 * @param base the folder's URL; file names are put behind its path, and its query behind them
 * @throws CapstanError from `size` and `read`: `network`, `access_denied`, `bad_file`, `unsupported` (a large file on
 *   a server that ignores ranges), `aborted`
 */
export function urlSource(base: string, options: HttpOptions = {}): FileSource {
  const client = new HttpClient(options);
  const opened = new Map<string, Promise<Opened | undefined>>();

  const open = (name: string): Promise<Opened | undefined> => {
    const known = opened.get(name);
    if (known !== undefined) return known;
    const fresh = openFile(client, fileUrl(base, name));
    opened.set(name, fresh);
    // A failure is told to who asked; the next one asks anew.
    fresh.catch(() => opened.delete(name));
    return fresh;
  };

  return {
    async size(name) {
      return (await open(name))?.version.size;
    },
    async read(name, start, end) {
      const file = await open(name);
      if (file === undefined) {
        throw new CapstanError("not_found", {
          action: `fetch ${fileUrl(base, name)}`,
          need: "the file",
          found: "status 404",
        });
      }
      const { size } = file.version;
      if (end <= size) return await readFrom(client, file, start, end);
      const parts = { action: `fetch ${file.url}`, need: `bytes ${start} to ${end}`, found: `${size} bytes` };
      throw new CapstanError("bad_file", { ...parts, mend: "The file may be cut short." });
    },
  };
}

async function openFile(client: HttpClient, url: string): Promise<Opened | undefined> {
  const found = await client.open(url, FIRST_BYTES, MOST_WHOLE);
  return found === undefined ? undefined : { ...found, url, pages: new Map() };
}

async function readFrom(client: HttpClient, file: Opened, start: number, end: number): Promise<Uint8Array> {
  if (end <= file.first.length) return file.first.slice(start, end);
  const index = Math.floor(start / PAGE_BYTES);
  const at = index * PAGE_BYTES;
  if (end > at + PAGE_BYTES) return await client.read(file.url, start, end, file.version);
  const { pages } = file;
  const page =
    pages.get(index) ?? client.read(file.url, at, Math.min(at + PAGE_BYTES, file.version.size), file.version);
  pages.delete(index);
  pages.set(index, page);
  page.catch(() => pages.delete(index));
  for (const old of [...pages.keys()].slice(0, -PAGES_KEPT)) pages.delete(old);
  return (await page).slice(start - at, end - at);
}

function fileUrl(base: string, name: string): string {
  if (!isPlainName(name)) {
    const parts = {
      action: `fetch from ${base}`,
      need: "a file name that stays inside it",
      found: show(name),
    };
    throw new CapstanError("bad_request", parts);
  }
  const url = new URL(base);
  const path = name.split("/").map(encodeURIComponent).join("/");
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/${path}`;
  url.hash = "";
  return url.href;
}
