import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { CapstanError } from "../../../models/index.ts";
import { answer, answerCut, type Exchange, serve, type TestServer } from "./fixtures/server.ts";
import type { HttpOptions } from "./http.ts";
import { urlSource } from "./url.ts";

const DATA = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 31 + (i >> 8) * 7) & 255);

let server: TestServer | undefined;
afterEach(async () => await server?.[Symbol.asyncDispose]());

/** A source over a server of one file; waits are written down, not waited. */
async function start(handle: (exchange: Exchange) => void, options: HttpOptions = {}) {
  const waits: number[] = [];
  server = await serve(handle);
  const wait = async (milliseconds: number) => void waits.push(milliseconds);
  return { source: urlSource(`${server.url}/m`, { wait, ...options }), waits, requests: server.requests };
}

/** Answers well but for the requests of these numbers. */
function but(bad: Record<number, (exchange: Exchange) => void>, data = DATA) {
  return (exchange: Exchange) => (bad[exchange.index] ?? ((one) => answer(one, data)))(exchange);
}

const status =
  (code: number, headers: Record<string, string> = {}) =>
  ({ response }: Exchange) =>
    void response.writeHead(code, headers).end("no");

/** toEqual of millions of bytes takes seconds. */
function expectBytes(found: Uint8Array, need: Uint8Array): void {
  expect(found.length).toBe(need.length);
  expect(Buffer.compare(found, need)).toBe(0);
}

describe("a well-behaved server", () => {
  test("gives sizes and ranges; what was asked for already is not asked for again", async () => {
    const { source, requests } = await start(but({}));
    expect(await source.size("a.safetensors")).toBe(DATA.length);
    expectBytes(await source.read("a.safetensors", 0, 8), DATA.slice(0, 8));
    expect(requests.map(({ range }) => range)).toEqual(["bytes=0-1048575"]);
    // Far from the last read: alone. Near it: a page, once.
    expectBytes(await source.read("a.safetensors", 2_500_000, 2_500_010), DATA.slice(2_500_000, 2_500_010));
    expectBytes(await source.read("a.safetensors", 2_400_000, 2_400_001), DATA.slice(2_400_000, 2_400_001));
    expectBytes(await source.read("a.safetensors", 2_300_000, 2_400_000), DATA.slice(2_300_000, 2_400_000));
    expect(requests.slice(1).map(({ range }) => range)).toEqual([
      "bytes=2500000-2500009",
      "bytes=2097152-2999999",
    ]);
    expectBytes(await source.read("a.safetensors", 1_000_000, 2_900_000), DATA.slice(1_000_000, 2_900_000));
    expectBytes(await source.read("a.safetensors", 2_999_999, 3_000_000), DATA.slice(2_999_999));
    expect(await source.read("a.safetensors", 7, 7)).toEqual(new Uint8Array());
    await expect(source.read("a.safetensors", 0, DATA.length + 1)).rejects.toMatchObject({
      code: "bad_file",
    });
  });

  test("names lead into folders below, spelled for a URL; headers and query go along", async () => {
    server = await serve((exchange) => answer(exchange, DATA));
    const source = urlSource(`${server.url}/a/?key=1#x`, { headers: { authorization: "Bearer t" } });
    await source.size("roles/p q#.json");
    expect(server.requests[0]).toMatchObject({ path: "/a/roles/p%20q%23.json?key=1" });
    expect(server.requests[0]!.headers).toMatchObject({
      authorization: "Bearer t",
      "accept-encoding": "identity",
    });
    await expect(source.size("../x")).rejects.toMatchObject({ code: "bad_request" });
  });

  test("says what is not there, and what is empty", async () => {
    const { source } = await start((exchange) =>
      exchange.path === "/m/none" ? status(404)(exchange) : answer(exchange, new Uint8Array()),
    );
    expect(await source.size("none")).toBeUndefined();
    await expect(source.read("none", 0, 1)).rejects.toMatchObject({ code: "not_found" });
    expect(await source.size("empty")).toBe(0);
    expect(await source.read("empty", 0, 0)).toEqual(new Uint8Array());
  });
});

test("any range is the file's", async () => {
  const { source } = await start(but({}));
  const ends = fc.tuple(fc.nat(DATA.length), fc.nat(DATA.length)).map((pair) => pair.sort((a, b) => a - b));
  await fc.assert(
    fc.asyncProperty(ends, async ([from, to]) =>
      expectBytes(await source.read("a", from!, to!), DATA.slice(from, to)),
    ),
    { numRuns: 30 },
  );
});

test("a page that an application answers with is no file", async () => {
  const { source } = await start(({ response }) => {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end("<!doctype html>");
  });
  expect(await source.size("config.json")).toBeUndefined();
});

test("a token in the query stays out of messages", async () => {
  server = await serve(status(401));
  const error: unknown = await urlSource(`${server.url}/m?token=secret`)
    .size("a")
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "access_denied", message: expect.stringContaining("/m/a") });
  expect((error as CapstanError).message).not.toContain("secret");
});

describe("what passes is tried again", () => {
  test.each<[name: string, n_waits: number, bad: (exchange: Exchange) => void]>([
    ["500", 4, status(500)],
    ["503", 4, status(503)],
    ["429", 4, status(429)],
    ["a connection that is cut at once", 4, ({ response }: Exchange) => void response.destroy()],
    // What came of the first look is kept; the requests that follow are other ones then.
    ["a body that is cut", 1, (exchange: Exchange) => answerCut(exchange, DATA, 1000)],
  ])("%s, at the first look and in the middle", async (_, n_waits, bad) => {
    const { source, waits } = await start(but({ 0: bad, 1: bad, 3: bad, 4: bad }));
    expectBytes(await source.read("a", 200_000, 2_000_000), DATA.slice(200_000, 2_000_000));
    expect(waits).toHaveLength(n_waits);
  });

  test("a lost connection goes on where it was", async () => {
    const { source, requests } = await start((exchange) =>
      exchange.index === 0 ? answer(exchange, DATA) : answerCut(exchange, DATA, 500_000),
    );
    expectBytes(await source.read("a", 0, DATA.length), DATA);
    const starts = requests.slice(1).map(({ range }) => Number(/\d+/.exec(range!)![0]));
    expect(starts.length).toBeGreaterThanOrEqual(6);
    for (const [i, at] of starts.entries()) if (i > 0) expect(at).toBeGreaterThan(starts[i - 1]!);
  });

  test("a body shorter than the range it announces is completed", async () => {
    const short = ({ request, response }: Exchange) => {
      const [, from] = /^bytes=(\d+)/.exec(request.headers.range!)!;
      const at = Number(from);
      const headers = { "content-range": `bytes ${at}-${at + 9}/${DATA.length}`, etag: '"v1"' };
      response.writeHead(206, headers).end(DATA.subarray(at, at + 10));
    };
    const { source } = await start(but({ 0: short, 1: short, 2: short }));
    expectBytes(await source.read("a", 1_000, 1_500_000), DATA.slice(1_000, 1_500_000));
  });

  test("the waits double, are drawn at random, and heed Retry-After", async () => {
    const later = status(429, { "retry-after": "7" });
    const dated = status(503, { "retry-after": new Date(Date.now() + 30_000).toUTCString() });
    const { source, waits } = await start(
      but({ 0: status(500), 1: status(500), 2: status(500), 3: later, 4: dated }),
    );
    expect(await source.size("a")).toBe(DATA.length);
    expect(waits).toHaveLength(5);
    for (const [i, most] of [250, 500, 1000].entries()) {
      expect(waits[i]).toBeGreaterThanOrEqual(0);
      expect(waits[i]).toBeLessThanOrEqual(most);
    }
    expect(waits[3]).toBeGreaterThanOrEqual(7_000);
    expect(waits[4]).toBeGreaterThan(20_000);
  });

  test("but not for ever", async () => {
    const { source, requests } = await start(status(502));
    const error: unknown = await source.size("a").catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CapstanError);
    expect(error).toMatchObject({
      code: "network",
      message: expect.stringContaining("status 502 (6 tries)"),
    });
    expect(requests).toHaveLength(6);
    const nobody = urlSource("http://127.0.0.1:9/m", { wait: async () => {} });
    await expect(nobody.size("a")).rejects.toMatchObject({ code: "network" });
  });

  test("nor when the server asks for an hour", async () => {
    const { source, requests } = await start(status(429, { "retry-after": "3600" }));
    await expect(source.size("a")).rejects.toThrow("come back in 3600 s");
    expect(requests).toHaveLength(1);
  });

  test("nor after an abort", async () => {
    const abort = new AbortController();
    const { source } = await start(
      ({ response }) => {
        response.writeHead(503).end();
        setTimeout(() => abort.abort(), 5);
      },
      {
        signal: abort.signal,
        wait: (_, signal) => new Promise((resolve) => signal!.addEventListener("abort", () => resolve())),
      },
    );
    await expect(source.size("a")).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("one clear error", () => {
  test.each([
    [401, "access_denied"],
    [403, "access_denied"],
    [400, "network"],
    [410, "not_found"],
  ])("for status %d", async (code, error) => {
    const { source, requests } = await start(but({ 1: status(code) }));
    await expect(source.read("a", 100_000, 2_000_000)).rejects.toMatchObject({ code: error });
    expect(requests).toHaveLength(2);
  });

  const ranged =
    (range: string, data: Uint8Array) =>
    ({ response }: Exchange) =>
      void response.writeHead(206, { "content-range": range, etag: '"v1"' }).end(data);
  test.each([
    [
      "another range than asked",
      ranged("bytes 0-9/3000000", DATA.subarray(0, 10)),
      "found bytes 0-9/3000000",
    ],
    ["a range that is none", ranged("some", DATA.subarray(0, 10)), "found some"],
    [
      "more bytes than asked",
      ranged("bytes 65536-70000/3000000", DATA.subarray(65536)),
      "found more of them",
    ],
  ])("for %s", async (_, bad, text) => {
    const { source } = await start(but({ 1: bad }));
    const promise = source.read("a", 65_536, 1_500_000);
    await expect(promise).rejects.toMatchObject({ code: "bad_file", message: expect.stringContaining(text) });
  });

  test.each([
    ["its tag", DATA, { etag: '"v2"' }],
    ["its size", DATA.subarray(1), {}],
  ])("for a file that changes %s between two reads", async (_, data, headers) => {
    const { source } = await start(but({ 1: (exchange) => answer(exchange, data, headers) }));
    const promise = source.read("a", 65_536, 1_500_000);
    await expect(promise).rejects.toMatchObject({
      code: "bad_file",
      message: expect.stringContaining("replaced while it was read"),
    });
  });

  test("for a file that changes after a lost connection", async () => {
    const { source } = await start(
      but({
        1: (exchange) => answerCut(exchange, DATA, 1000),
        2: (exchange) => answer(exchange, DATA, { etag: '"v2"' }),
      }),
    );
    await expect(source.read("a", 65_536, 2_000_000)).rejects.toThrow('found 3000000 bytes ("v2")');
  });
});

describe("a server that knows no ranges", () => {
  const whole =
    (data: Uint8Array, headers: Record<string, string | number> = { "content-length": data.length }) =>
    ({ response }: Exchange) =>
      void response.writeHead(200, headers).end(data);

  test("is read whole, once, where the file is small", async () => {
    const { source, requests } = await start(whole(DATA));
    expect(await source.size("a")).toBe(DATA.length);
    expectBytes(await source.read("a", 1_000_000, 1_000_010), DATA.slice(1_000_000, 1_000_010));
    expect(requests).toHaveLength(1);
  });

  test("also without a length, and when the first try is cut", async () => {
    const { source } = await start((exchange) => {
      if (exchange.index > 0) return whole(DATA, {})(exchange);
      const { response } = exchange;
      response.writeHead(200, { "content-length": DATA.length });
      response.write(DATA.subarray(0, 1000), () => response.destroy());
    });
    expectBytes(await source.read("a", 2_999_990, 3_000_000), DATA.slice(2_999_990));
  });

  test("is refused, before it is read, where the file is large", async () => {
    const { source } = await start(({ response }) => {
      response.writeHead(200, { "content-length": 2 ** 40 });
      response.write("x");
    });
    await expect(source.size("a")).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining(
        "a server that answers byte ranges, or a file of at most 67108864 bytes",
      ),
    });
  });

  test("is refused where it forgets about them", async () => {
    const { source } = await start(
      but({ 1: (one) => whole(DATA, { "content-length": DATA.length, etag: '"v1"' })(one) }),
    );
    await expect(source.read("a", 65_536, 2_000_000)).rejects.toMatchObject({ code: "unsupported" });
  });
});

describe("what servers and lines between do unasked", () => {
  test("a connection that is cut every 100 kB is gone on with, the first page too", async () => {
    const cut = (exchange: Exchange) => answerCut(exchange, DATA, 100_000);
    const { source, requests } = await start(cut);
    expect(await source.size("a.safetensors")).toBe(DATA.length);
    expectBytes(await source.read("a.safetensors", 0, DATA.length), DATA);
    expect(requests.length).toBeLessThan(45);
  });

  test("a whole answer that is compressed has the file's size, not what was sent", async () => {
    const text = JSON.stringify({ a: "x".repeat(20_000) });
    const { source } = await start(({ response }) => {
      const body = gzipSync(text);
      response.writeHead(200, { "content-encoding": "gzip", "content-length": body.length }).end(body);
    });
    expect(await source.size("config.json")).toBe(text.length);
    expect(new TextDecoder().decode(await source.read("config.json", 0, text.length))).toBe(text);
  });

  test("redirects that lead in a circle are one error, without another try", async () => {
    const { source, waits } = await start(({ response }) => {
      response.writeHead(302, { location: "/m/config.json" }).end();
    });
    await expect(source.size("config.json")).rejects.toMatchObject({
      code: "bad_file",
      message: expect.stringContaining("an answer behind its redirects"),
    });
    expect(waits).toEqual([]);
  });
});

test("a header that cannot be sent is refused before anything is asked, without its value", async () => {
  for (const value of ["Bearer SECRET\nX: 1", "SECRET\r", "SECRET\0", "SECRET\u200b"]) {
    server = await serve((exchange) => answer(exchange, DATA));
    const make = () => urlSource(`${server!.url}/m`, { headers: { authorization: value } });
    expect(make).toThrow(
      /^send a request: need a header authorization of printable ASCII characters, found /,
    );
    expect(make).not.toThrow(/SECRET/);
    expect(server.requests).toEqual([]);
    await server[Symbol.asyncDispose]();
  }
});
