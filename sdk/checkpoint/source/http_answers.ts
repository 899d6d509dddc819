import { CapstanError, show } from "../../../models/index.ts";
import { placeOf } from "./place_of.ts";

/** What servers answer, and the errors that come of it. */

/** The longest wait that a server may ask for. */
export const LONGEST_RETRY_AFTER = 120_000;

/** What a file was when it was first looked at; another state of it must not be mixed in. */
export interface FileVersion {
  size: number;
  /** `ETag`, else `Last-Modified`; null where the server sends neither. */
  tag: string | null;
}

/** Something that another try may fix. */
export class Passing extends Error {
  readonly retry_after: number;
  constructor(found: string, retry_after = 0, cause?: unknown) {
    super(found, { cause });
    this.retry_after = retry_after;
  }
}

/** Servers of applications answer any path with their page: there is no such file then. */
export function isPage(response: Response, url: string): boolean {
  const type = response.headers.get("content-type") ?? "";
  return type.startsWith("text/html") && !/\.html?$/.test(new URL(url).pathname);
}

/** `Retry-After` in milliseconds: seconds, or a date. */
export function retryAfter(response: Response): number {
  const value = response.headers.get("retry-after");
  if (value === null) return 0;
  const seconds = Number(value);
  const until = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(until) ? Math.max(0, until) : 0;
}

export function tagOf(response: Response): string | null {
  return response.headers.get("etag") ?? response.headers.get("last-modified");
}

/** The whole file's size by `Content-Range: bytes .../size`. */
export function sizeOf(response: Response): number | undefined {
  const size = /\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
  return size === undefined ? undefined : Number(size);
}

export async function checkVersion(
  url: string,
  response: Response,
  known: FileVersion,
  now: FileVersion,
): Promise<void> {
  if (now.size === known.size && now.tag === known.tag) return;
  const describe = ({ size, tag }: FileVersion) => `${size} bytes${tag === null ? "" : ` (${tag})`}`;
  throw await discard(
    response,
    broken(url, `the file of ${describe(known)} that was begun`, describe(now), CHANGED),
  );
}

const CHANGED = "It was replaced while it was read: load again.";

/** An answer that is not wanted must be closed, or its connection stays busy. */
export async function discard<T>(response: Response, result: T): Promise<T> {
  if (response.bodyUsed || response.body?.locked) return result;
  await response.body?.cancel().catch(() => {});
  return result;
}

/** The error for a status that no further try would change. */
export function statusError({ status }: Response, url: string): CapstanError {
  const action = `fetch ${placeOf(url)}`;
  if (status === 401 || status === 403) {
    const fix = "Its server wants a token, or another one.";
    return new CapstanError("access_denied", { action, need: "permission", found: `status ${status}`, fix });
  }
  const code = status === 404 || status === 410 ? "not_found" : status === 416 ? "bad_file" : "network";
  return new CapstanError(code, { action, need: "the file", found: `status ${status}` });
}

export async function noRanges(
  url: string,
  response: Response,
  version: FileVersion | null,
): Promise<CapstanError> {
  const tag = tagOf(response);
  if (version !== null && tag !== version.tag) {
    const found = tag ?? "a file without a tag";
    return await discard(response, broken(url, `the file ${version.tag} that was begun`, found, CHANGED));
  }
  const parts = {
    action: `fetch ${placeOf(url)}`,
    need: "a server that answers byte ranges",
    found: "the whole file",
  };
  return await discard(response, new CapstanError("unsupported", { ...parts, fix: FETCH_FIRST }));
}

export async function tooLarge(
  url: string,
  response: Response,
  found: string,
  limit: number,
): Promise<CapstanError> {
  const need = `a server that answers byte ranges, or a file of at most ${limit} bytes`;
  const parts = { action: `fetch ${placeOf(url)}`, need, found: `one that ignores them, and ${found}` };
  return await discard(response, new CapstanError("unsupported", { ...parts, fix: FETCH_FIRST }));
}

const FETCH_FIRST = "Download the files first and give the folder.";

export function tooLong(url: string): CapstanError {
  return broken(url, "the bytes that were asked for", "more of them");
}

export function broken(url: string, need: string, found: string, fix?: string): CapstanError {
  const parts = { action: `fetch ${placeOf(url)}`, need, found };
  return new CapstanError("bad_file", fix === undefined ? parts : { ...parts, fix });
}

export function networkError(action: string, error: Passing, tries: number, reached: boolean): CapstanError {
  const found = `${error.message} (${tries} ${tries === 1 ? "try" : "tries"})`;
  const parts = { action, need: "an answer from its server", found };
  const later = `It asks to come back in ${Math.ceil(error.retry_after / 1000)} s.`;
  const fix = error.retry_after > LONGEST_RETRY_AFTER ? later : reached ? undefined : UNREACHED;
  return new CapstanError("network", fix === undefined ? parts : { ...parts, fix }, { cause: error.cause });
}

const UNREACHED = "Is the address right, and (in a page) does its server allow this page to read (CORS)?";

/** fetch says "fetch failed" and keeps the reason to itself. */
export function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: unknown; cause?: unknown };
  const inner = cause as { code?: unknown; message?: unknown } | undefined;
  return String(inner?.code ?? inner?.message ?? message ?? show(error)).replace(/\.$/, "");
}
