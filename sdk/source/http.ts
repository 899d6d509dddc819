import { abortedError, CapstanError, show } from "../../models/index.ts";

/** How a client asks; all of it optional. */
export interface HttpOptions {
  /** Sent with every request; the runtime drops `authorization` where a redirect leaves the host. */
  headers?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
  /** What makes requests and waits; tests put theirs here. */
  fetch?: typeof fetch;
  wait?: (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>;
}

/** Tries that bring nothing before a request is given up; one that brings bytes starts the count anew. */
const MAX_FAILURES = 6;
/** The same where the server has never answered yet: the address may be wrong. */
const MAX_UNREACHED = 3;
/** Waits grow from this, in milliseconds, and stop growing at the other. */
const FIRST_WAIT = 250;
const LONGEST_WAIT = 15_000;
/** The longest wait that a server may ask for. */
const LONGEST_RETRY_AFTER = 120_000;
/** A connection that brings nothing for so long counts as lost. */
const IDLE_MS = 60_000;
const SILENCE = `silence for ${IDLE_MS / 1000} s`;

const RETRIED = [408, 425, 429, 500, 502, 503, 504];

/** What a file was when it was first looked at; another state of it must not be mixed in. */
export interface FileVersion {
  size: number;
  /** `ETag`, else `Last-Modified`; null where the server sends neither. */
  tag: string | null;
}

/** An answer to a request for a range, its status and place checked; `start` is 0 where all came instead. */
interface RangeAnswer {
  start: number;
  whole: boolean;
  version: FileVersion | null;
  body: AsyncIterable<Uint8Array>;
}

/** Something that another try may mend. */
class Passing extends Error {
  readonly retry_after: number;
  constructor(found: string, retry_after = 0, cause?: unknown) {
    super(found, { cause });
    this.retry_after = retry_after;
  }
}

/**
 * A client for files that lie behind HTTP: every request is tried again after what passes (lost connections, 429,
 * 5xx), with waits that double, are drawn at random, and are no shorter than the server asks for.
 */
export class HttpClient {
  readonly #options: HttpOptions;
  readonly #fetch: typeof fetch;
  #reached = false;

  constructor(options: HttpOptions = {}) {
    this.#options = options;
    this.#fetch = options.fetch ?? fetch;
  }

  /**
   * An answer of any status but those that pass.
   *
   * @throws CapstanError `network` when it keeps failing, `aborted`
   */
  async get(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return await this.#persist(`fetch ${placeOf(url)}`, () => this.#request(url, headers));
  }

  /** A whole small answer as text, read again from the start where the connection is lost. */
  async text(
    url: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ response: Response; text: string }> {
    return await this.#persist(`fetch ${placeOf(url)}`, async () => {
      const response = await this.#request(url, headers);
      const chunks: Uint8Array[] = [];
      for await (const chunk of this.#body(response)) chunks.push(chunk);
      return { response, text: new TextDecoder().decode(join(chunks)) };
    });
  }

  /**
   * The first bytes of a file, at most `count`, and what the file is. All of it where the server knows no ranges and
   * the file has at most `most_whole` bytes.
   *
   * @returns undefined where there is no such file
   * @throws CapstanError `unsupported` for a larger one, `network`, `access_denied`, `aborted`
   */
  async open(
    url: string,
    count: number,
    most_whole: number,
  ): Promise<{ version: FileVersion; first: Uint8Array; ranges: boolean } | undefined> {
    return await this.#persist(`fetch ${placeOf(url)}`, async () => {
      const response = await this.#request(url, { range: `bytes=0-${count - 1}` });
      if (response.status === 404 || response.status === 410 || isPage(response, url)) {
        return await discard(response, undefined);
      }
      const tag = tagOf(response);
      if (response.status === 416) {
        // Nothing in it that a range could name.
        const size = sizeOf(response);
        if (size === 0)
          return await discard(response, { version: { size, tag }, first: new Uint8Array(), ranges: true });
      }
      const answer = await this.#answer(url, response, 0);
      const limit = answer.whole ? most_whole : count;
      const size = answer.version?.size;
      if (size !== undefined && answer.whole && size > limit)
        throw await tooLarge(url, response, `${size} bytes`, limit);
      const chunks: Uint8Array[] = [];
      let length = 0;
      for await (const chunk of answer.body) {
        length += chunk.length;
        if (length > limit) {
          throw answer.whole ? await tooLarge(url, response, "more", limit) : tooLong(url);
        }
        chunks.push(chunk);
      }
      // A server may answer a shorter range than it was asked for, but not with nothing, nor with part of a whole.
      const least = answer.whole ? (size ?? 0) : 1;
      if (length < least) throw new Passing(`an end after ${length} bytes`);
      return { version: { size: size ?? length, tag }, first: join(chunks), ranges: !answer.whole };
    });
  }

  /**
   * Bytes [start, end) of a file as they come. After a lost connection it goes on where it was.
   *
   * @param version what the file was: another size or tag is an error, not data. Null takes what is there.
   * @throws CapstanError `network`, `bad_file` (the file changed, the server answers another range), `not_found`,
   *   `access_denied`, `unsupported` (the server knows no ranges), `aborted`
   */
  async *stream(
    url: string,
    start: number,
    end: number,
    version: FileVersion | null,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    let at = start;
    for (let failures = 0; at < end; ) {
      try {
        const response = await this.#request(url, { range: `bytes=${at}-${end - 1}` });
        const answer = await this.#answer(url, response, at);
        if (answer.whole && (at > 0 || answer.version?.size !== end))
          throw await noRanges(url, response, version);
        if (version !== null && answer.version !== null)
          await checkVersion(url, response, version, answer.version);
        for await (const chunk of answer.body) {
          if (at + chunk.length > end) throw tooLong(url);
          at += chunk.length;
          failures = 0;
          yield chunk;
        }
        if (at < end) throw new Passing(`an end at byte ${at} of ${end}`);
      } catch (error) {
        await this.#waitAfter(error, `fetch ${placeOf(url)}`, failures++);
      }
    }
  }

  /** Bytes [start, end) in one piece. As `stream`. */
  async read(url: string, start: number, end: number, version: FileVersion | null): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - start);
    let at = 0;
    for await (const chunk of this.stream(url, start, end, version)) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }

  /** One request; what another try may mend is thrown as `Passing`. */
  async #request(url: string, headers: Readonly<Record<string, string>>): Promise<Response> {
    const { signal } = this.#options;
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(new Error(SILENCE)), IDLE_MS);
    let response: Response;
    try {
      response = await this.#fetch(url, {
        // Where a range is asked for, fetch itself asks for no compression.
        headers: { ...this.#options.headers, ...headers },
        signal: signal === undefined ? silence.signal : AbortSignal.any([signal, silence.signal]),
      });
    } catch (cause) {
      if (signal?.aborted) throw abortedError(`fetch ${placeOf(url)}`, signal);
      throw new Passing(reasonOf(cause), 0, cause);
    } finally {
      clearTimeout(timer);
    }
    this.#reached = true;
    if (!RETRIED.includes(response.status)) return response;
    throw await discard(response, new Passing(`status ${response.status}`, retryAfter(response)));
  }

  /** Checks that an answer to a request for bytes from `at` on is one, and where its bytes stand. */
  async #answer(url: string, response: Response, at: number): Promise<RangeAnswer> {
    const body = this.#body(response);
    if (response.status === 200) {
      const length = response.headers.get("content-length");
      const version = length === null ? null : { size: Number(length), tag: tagOf(response) };
      return { start: 0, whole: true, version, body };
    }
    if (response.status !== 206) throw await discard(response, statusError(url, response));
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "");
    if (range === null || Number(range[1]) !== at) {
      const found = response.headers.get("content-range") ?? "no content-range";
      throw await discard(response, broken(url, `bytes from ${at} on`, found));
    }
    const size = range[3] === "*" ? null : Number(range[3]);
    return { start: at, whole: false, version: size === null ? null : { size, tag: tagOf(response) }, body };
  }

  /** The body's chunks; a connection that rests too long or breaks is `Passing`. */
  async *#body(response: Response): AsyncGenerator<Uint8Array, void, undefined> {
    const reader = response.body?.getReader();
    if (reader === undefined) return;
    const { signal } = this.#options;
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      for (;;) {
        const idle = new Promise<never>((_, reject) => {
          timer = setTimeout(() => reject(new Passing(SILENCE)), IDLE_MS);
        });
        const { done, value } = await Promise.race([reader.read(), idle]).catch((cause: unknown) => {
          if (signal?.aborted) throw abortedError(`fetch ${placeOf(response.url)}`, signal);
          throw cause instanceof Passing ? cause : new Passing(reasonOf(cause), 0, cause);
        });
        clearTimeout(timer);
        if (done) return;
        yield value;
      }
    } finally {
      clearTimeout(timer);
      // Whoever stops early has no use for the rest.
      await reader.cancel().catch(() => {});
    }
  }

  async #persist<T>(action: string, run: () => Promise<T>): Promise<T> {
    for (let failures = 0; ; failures++) {
      try {
        return await run();
      } catch (error) {
        await this.#waitAfter(error, action, failures);
      }
    }
  }

  /** Waits before the next try, or throws what ends them. */
  async #waitAfter(error: unknown, action: string, failures: number): Promise<void> {
    if (!(error instanceof Passing)) throw error;
    const most_failures = this.#reached ? MAX_FAILURES : MAX_UNREACHED;
    if (failures + 1 >= most_failures || error.retry_after > LONGEST_RETRY_AFTER) {
      throw networkError(action, error, failures + 1, this.#reached);
    }
    const { signal, wait = sleep } = this.#options;
    const most = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures);
    // Drawn at random, so that clients that failed together do not come back together.
    await wait(Math.max(error.retry_after, Math.random() * most), signal);
    if (signal?.aborted) throw abortedError(action, signal);
  }
}

function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, milliseconds);
    signal?.addEventListener("abort", over, { once: true });
  });
}

/** A URL as messages may show it: a query may hold a secret. */
export function placeOf(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/** Servers of applications answer any path with their page: there is no such file then. */
function isPage(response: Response, url: string): boolean {
  const type = response.headers.get("content-type") ?? "";
  return type.startsWith("text/html") && !/\.html?$/.test(new URL(url).pathname);
}

/** `Retry-After` in milliseconds: seconds, or a date. */
function retryAfter(response: Response): number {
  const value = response.headers.get("retry-after");
  if (value === null) return 0;
  const seconds = Number(value);
  const until = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(until) ? Math.max(0, until) : 0;
}

function tagOf(response: Response): string | null {
  return response.headers.get("etag") ?? response.headers.get("last-modified");
}

/** The whole file's size by `Content-Range: bytes .../size`. */
function sizeOf(response: Response): number | undefined {
  const size = /\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
  return size === undefined ? undefined : Number(size);
}

async function checkVersion(
  url: string,
  response: Response,
  known: FileVersion,
  now: FileVersion,
): Promise<void> {
  if (now.size === known.size && now.tag === known.tag) return;
  const tell = ({ size, tag }: FileVersion) => `${size} bytes${tag === null ? "" : ` (${tag})`}`;
  throw await discard(response, broken(url, `the file of ${tell(known)} that was begun`, tell(now), CHANGED));
}

const CHANGED = "It was replaced while it was read: load again.";

/** An answer that is not wanted must be closed, or its connection stays busy. */
async function discard<T>(response: Response, result: T): Promise<T> {
  if (response.bodyUsed || response.body?.locked) return result;
  await response.body?.cancel().catch(() => {});
  return result;
}

/** The error for a status that no further try would change. */
export function statusError(url: string, { status }: Response): CapstanError {
  const action = `fetch ${placeOf(url)}`;
  if (status === 401 || status === 403) {
    const mend = "Its server wants a token, or another one.";
    return new CapstanError("access_denied", { action, need: "permission", found: `status ${status}`, mend });
  }
  const code = status === 404 || status === 410 ? "not_found" : status === 416 ? "bad_file" : "network";
  return new CapstanError(code, { action, need: "the file", found: `status ${status}` });
}

async function noRanges(url: string, response: Response, version: FileVersion | null): Promise<CapstanError> {
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
  return await discard(response, new CapstanError("unsupported", { ...parts, mend: FETCH_FIRST }));
}

async function tooLarge(
  url: string,
  response: Response,
  found: string,
  limit: number,
): Promise<CapstanError> {
  const need = `a server that answers byte ranges, or a file of at most ${limit} bytes`;
  const parts = { action: `fetch ${placeOf(url)}`, need, found: `one that ignores them, and ${found}` };
  return await discard(response, new CapstanError("unsupported", { ...parts, mend: FETCH_FIRST }));
}

const FETCH_FIRST = "Download the files first and give the folder.";

function tooLong(url: string): CapstanError {
  return broken(url, "the bytes that were asked for", "more of them");
}

function broken(url: string, need: string, found: string, mend?: string): CapstanError {
  const parts = { action: `fetch ${placeOf(url)}`, need, found };
  return new CapstanError("bad_file", mend === undefined ? parts : { ...parts, mend });
}

function networkError(action: string, error: Passing, tries: number, reached: boolean): CapstanError {
  const found = `${error.message} (${tries} ${tries === 1 ? "try" : "tries"})`;
  const parts = { action, need: "an answer from its server", found };
  const later = `It asks to come back in ${Math.ceil(error.retry_after / 1000)} s.`;
  const mend = error.retry_after > LONGEST_RETRY_AFTER ? later : reached ? undefined : UNREACHED;
  return new CapstanError("network", mend === undefined ? parts : { ...parts, mend }, { cause: error.cause });
}

const UNREACHED = "Is the address right, and (in a page) does its server allow this page to read (CORS)?";

/** fetch says "fetch failed" and keeps the reason to itself. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: unknown; cause?: unknown };
  const inner = cause as { code?: unknown; message?: unknown } | undefined;
  return String(inner?.code ?? inner?.message ?? message ?? show(error)).replace(/\.$/, "");
}

function join(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
