import { abortedError, type CapstanError, concatBytes } from "../../../models/index.ts";
import { sleep } from "../../common/abort.ts";
import {
  broken,
  checkVersion,
  discard,
  type FileVersion,
  isPage,
  LONGEST_RETRY_AFTER,
  networkError,
  noRanges,
  Passing,
  reasonOf,
  retryAfter,
  sizeOf,
  statusError,
  tagOf,
  tooLarge,
  tooLong,
} from "./http_answers.ts";
import { placeOf } from "./place_of.ts";
import { checkHeaders } from "./secrets.ts";

/** How a client asks; all of it optional. */
export interface HttpOptions {
  /** Sent with every request; the runtime drops `authorization` where a redirect leaves the host. */
  headers?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
  /** The error for a status that ends it, where the server says more than a number. */
  explain?: (response: Response, url: string) => CapstanError;
  /** What makes requests and waits; tests put theirs here. */
  fetch?: typeof fetch;
  wait?: (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>;
}

/** Tries that bring nothing before a request is given up; one that brings bytes starts the count again. */
const MAX_FAILURES = 6;
/** The same where the server has never answered yet: the address may be wrong. */
const MAX_UNREACHED = 3;
/** Waits grow from this, in milliseconds, and stop growing at the other. */
const FIRST_WAIT = 250;
const LONGEST_WAIT = 15_000;
/** A connection that brings nothing for so long counts as lost. */
const IDLE_MS = 60_000;
const SILENCE = `silence for ${IDLE_MS / 1000} s`;

/** The longest answer taken as text: a listing of a thousand files has some hundred kilobytes. */
const MOST_TEXT = 32 * 2 ** 20;

const RETRIED = [408, 425, 429, 500, 502, 503, 504];

/** An answer to a request for a range, its status and place checked; `start` is 0 where all came instead. */
interface RangeAnswer {
  start: number;
  whole: boolean;
  version: FileVersion | null;
  body: AsyncIterable<Uint8Array>;
}

/**
 * A client for files that lie behind HTTP: every request is tried again after what passes (lost connections, 429,
 * 5xx), with waits that double, are drawn at random, and are no shorter than the server asks for.
 */
export class HttpClient {
  readonly #options: HttpOptions;
  readonly #fetch: typeof fetch;
  #reached = false;

  /** @throws CapstanError `bad_request` for a header that cannot be sent */
  constructor(options: HttpOptions = {}) {
    checkHeaders(options.headers ?? {});
    this.#options = options;
    // Called through a function: a browser's fetch refuses to be a method of anything else.
    this.#fetch = options.fetch ?? ((...request) => fetch(...request));
  }

  /** The same client under another signal. */
  under(signal: AbortSignal): HttpClient {
    return new HttpClient({ ...this.#options, signal });
  }

  /**
   * A whole small answer of any status but those that pass, read again from the start where the connection is lost.
   *
   * @throws CapstanError `network` when it keeps failing, `bad_file` for one of over 32 MiB, `aborted`
   */
  async text(
    url: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ response: Response; text: string }> {
    return await this.#persist(`fetch ${placeOf(url)}`, async () => {
      const response = await this.#request(url, headers);
      const chunks: Uint8Array[] = [];
      let length = 0;
      for await (const chunk of this.#body(url, response)) {
        length += chunk.length;
        if (length > MOST_TEXT) throw broken(url, `an answer of at most ${MOST_TEXT} bytes`, "more");
        chunks.push(chunk);
      }
      return { response, text: new TextDecoder().decode(concatBytes(chunks)) };
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
      try {
        for await (const chunk of answer.body) {
          length += chunk.length;
          if (length > limit) {
            throw answer.whole ? await tooLarge(url, response, "more", limit) : tooLong(url);
          }
          chunks.push(chunk);
        }
      } catch (error) {
        // What came of a range is kept: the rest is read from where it broke off.
        if (!(error instanceof Passing) || answer.whole || length === 0) throw error;
      }
      // A server may answer a shorter range than it was asked for, but not with nothing, nor with part of a whole.
      const least = answer.whole ? (size ?? 0) : 1;
      if (length < least) throw new Passing(`an end after ${length} bytes`);
      return { version: { size: size ?? length, tag }, first: concatBytes(chunks), ranges: !answer.whole };
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
        if (answer.whole && (at > 0 || (answer.version?.size ?? end) !== end))
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

  /** One request; what another try may fix is thrown as `Passing`. */
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
      const reason = reasonOf(cause);
      // Trying again leads round and round.
      if (/redirect/i.test(reason)) throw broken(url, "an answer behind its redirects", reason);
      throw new Passing(reason, 0, cause);
    } finally {
      clearTimeout(timer);
    }
    this.#reached = true;
    if (!RETRIED.includes(response.status)) return response;
    throw await discard(response, new Passing(`status ${response.status}`, retryAfter(response)));
  }

  /** Checks that an answer to a request for bytes from `at` on is one, and where its bytes stand. */
  async #answer(url: string, response: Response, at: number): Promise<RangeAnswer> {
    const body = this.#body(url, response);
    if (response.status === 200) {
      // Of a compressed answer it is the length of what is sent, not of the file.
      const is_plain = (response.headers.get("content-encoding") ?? "identity") === "identity";
      const length = is_plain ? response.headers.get("content-length") : null;
      const version = length === null ? null : { size: Number(length), tag: tagOf(response) };
      return { start: 0, whole: true, version, body };
    }
    if (response.status !== 206)
      throw await discard(response, (this.#options.explain ?? statusError)(response, url));
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "");
    if (range === null || Number(range[1]) !== at) {
      const found = response.headers.get("content-range") ?? "no content-range";
      throw await discard(response, broken(url, `bytes from ${at} on`, found));
    }
    const size = range[3] === "*" ? null : Number(range[3]);
    return { start: at, whole: false, version: size === null ? null : { size, tag: tagOf(response) }, body };
  }

  /** The body's chunks; a connection that rests too long or breaks is `Passing`. */
  async *#body(url: string, response: Response): AsyncGenerator<Uint8Array, void, undefined> {
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
          if (signal?.aborted) throw abortedError(`fetch ${placeOf(url)}`, signal);
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
