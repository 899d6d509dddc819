import { CapstanError } from "../../../models/index.ts";
import { PAGE_BYTES, Pages, type Ranged } from "../../platform/index.ts";
import type { FileSource } from "../../types.ts";
import { isPlainName, notInside } from "./folder.ts";
import { HttpClient, type HttpOptions } from "./http.ts";
import { placeOf } from "./place_of.ts";

/** The largest file taken whole, into memory, from a server that knows no byte ranges. */
const MOST_WHOLE = 64 * 2 ** 20;

/** A file on a server, with what of it is here. */
interface UrlFile extends Ranged {
  pages: Pages;
  /** Where the last read ended. */
  last: number;
}

/**
 * A folder on an HTTP server as a file source, read by byte ranges with retries (`HttpClient`): a file's size and
 * first page come in one request, then only what is asked for. A file that changes between two reads is an error,
 * never a mixture.
 *
 * @param url the folder's, with or without its last slash; its query goes with every file
 * @throws CapstanError from its calls: `network`, `access_denied`, `bad_file`, `unsupported` (a large file on a server
 *   that ignores ranges), `aborted`
 */
export function urlSource(url: string, options: HttpOptions = {}): FileSource {
  const base = new URL(url);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  const client = new HttpClient(options);
  const opened = new Map<string, Promise<UrlFile | undefined>>();
  const open = (name: string): Promise<UrlFile | undefined> => {
    if (!isPlainName(name)) return Promise.reject(notInside(placeOf(base.href), name));
    const file = opened.get(name) ?? openUrl(client, fileUrl(base, name));
    opened.set(name, file);
    // A failure goes to who asked; the next one asks again.
    file.catch(() => opened.delete(name));
    return file;
  };
  return {
    size: async (name) => (await open(name))?.size,
    async read(name, start, end) {
      const file = await open(name);
      const action = `fetch ${placeOf(fileUrl(base, name))}`;
      if (file === undefined) {
        throw new CapstanError("not_found", { action, need: "the file", found: "none of that name" });
      }
      if (end <= file.size) return await readNear(file, start, end);
      const parts = { action, need: `bytes ${start} to ${end}`, found: `${file.size} bytes` };
      throw new CapstanError("bad_file", { ...parts, fix: "The file may be cut short." });
    },
  };
}

/** A read far from the last one is most likely alone (a digest's sample): a whole page for it would be a waste. */
async function readNear(file: UrlFile, start: number, end: number): Promise<Uint8Array> {
  const is_near = Math.abs(start - file.last) < PAGE_BYTES || start < PAGE_BYTES;
  file.last = end;
  return is_near ? await file.pages.read(file, start, end) : await file.read(start, end);
}

async function openUrl(client: HttpClient, url: string): Promise<UrlFile | undefined> {
  const found = await client.open(url, PAGE_BYTES, MOST_WHOLE);
  if (found === undefined) return undefined;
  const { version, first, ranges } = found;
  const { size } = version;
  if (!ranges)
    return { size, pages: new Pages(), last: 0, read: async (start, end) => first.slice(start, end) };
  const read = (start: number, end: number) => client.read(url, start, end, version);
  const page = first.length === Math.min(size, PAGE_BYTES) ? first : undefined;
  return { size, pages: new Pages(page), last: 0, read };
}

function fileUrl(base: URL, name: string): string {
  const url = new URL(name.split("/").map(encodeURIComponent).join("/"), base);
  url.search = base.search;
  return url.href;
}
