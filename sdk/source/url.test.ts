import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CapstanError } from "../../models/index.ts";
import { resolveSource, urlSource } from "./index.ts";

/** Longer than two pages, so that reads cross them. */
const bytes = Uint8Array.from({ length: 2 ** 21 + 12_345 }, (_, i) => (i * 31 + (i >> 8)) & 255);

const asked: string[] = [];
let etag = '"1"';

/** A server with a folder for each way that servers are. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  asked.push(`${request.url} ${request.headers.range}`);
  const { pathname, searchParams } = new URL(request.url!, "http://x");
  const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "")!.map(Number);
  const last = Math.min(end!, bytes.length - 1);
  const part = bytes.subarray(start!, last + 1);
  const content_range = `bytes ${start}-${last}/${bytes.length}`;
  const headers = { "content-range": content_range, etag };
  switch (pathname) {
    case "/ranges/model.safetensors":
    case "/my%20model/a%23b.bin":
      response.writeHead(206, headers).end(part);
      break;
    case "/token/model.safetensors":
      response.writeHead(searchParams.get("token") === "t" ? 206 : 401, headers).end(part);
      break;
    case "/empty/config.json":
      response.writeHead(416, { "content-range": "bytes */0" }).end();
      break;
    case "/whole/model.safetensors":
      response.writeHead(200).end(bytes);
      break;
    case "/app/config.json":
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end("<!doctype html>");
      break;
    case "/short/model.safetensors":
      response.writeHead(206, headers).end(part.subarray(0, 100));
      break;
    case "/breaks/model.safetensors":
      response.writeHead(206, { ...headers, "content-length": part.length });
      response.write(part.subarray(0, 100), () => response.destroy());
      break;
    case "/broken/model.safetensors":
      response.writeHead(500).end("oh");
      break;
    default:
      response.writeHead(404).end("no");
  }
}

const server = createServer(answer);
let origin: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

const FILE = "model.safetensors";

describe("a folder on a server", () => {
  test.each(["ranges", "whole", "ranges/"])("%s: any range is the file's", async (folder) => {
    const source = urlSource(`${origin}/${folder}`);
    expect(await source.size(FILE)).toBe(bytes.length);
    const range = fc
      .tuple(fc.nat(bytes.length), fc.nat(bytes.length))
      .map((ends) => ends.sort((a, b) => a - b));
    await fc.assert(
      fc.asyncProperty(range, async ([start, end]) => {
        const got = await source.read(FILE, start!, end!);
        expect(Buffer.compare(got, bytes.subarray(start, end))).toBe(0);
      }),
      { numRuns: 30 },
    );
  });

  test("is asked once for a size and the small reads after it", async () => {
    const source = urlSource(`${origin}/ranges`);
    asked.length = 0;
    await Promise.all([source.size(FILE), source.read(FILE, 0, 8), source.read(FILE, 8, 5000)]);
    expect(asked).toEqual([`/ranges/${FILE} bytes=0-${2 ** 20 - 1}`]);
  });

  test("lacks what it lacks", async () => {
    const source = urlSource(`${origin}/ranges`);
    expect(await source.size("missing.json")).toBeUndefined();
    await expect(source.read("missing.json", 0, 1)).rejects.toMatchObject({ code: "not_found" });
    expect(await urlSource(`${origin}/app`).size("config.json")).toBeUndefined();
  });

  test("may hold an empty file", async () => {
    expect(await urlSource(`${origin}/empty`).size("config.json")).toBe(0);
  });

  test("is not left by a name", async () => {
    const source = urlSource(`${origin}/ranges`);
    await expect(source.size("../secret")).rejects.toMatchObject({ code: "bad_request" });
  });

  test("names are escaped, and a token in the query goes with every file", async () => {
    expect(await urlSource(`${origin}/my model`).size("a#b.bin")).toBe(bytes.length);
    expect(await urlSource(`${origin}/token?token=t`).size(FILE)).toBe(bytes.length);
  });

  test.each([
    ["short", /need 1048576 bytes, found 100/],
    ["breaks", /connection may have broken/],
    ["broken", /found 500/],
    ["token?token=secret", /found 401/],
  ])("%s: a bad answer is no file", async (folder, message) => {
    const error: unknown = await urlSource(`${origin}/${folder}`)
      .size(FILE)
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "bad_file", message: expect.stringMatching(message) });
    expect((error as CapstanError).message).not.toContain("secret");
  });

  test("that changes while it is read is not mixed", async () => {
    const source = urlSource(`${origin}/ranges`);
    await source.size(FILE);
    etag = '"2"';
    await expect(source.read(FILE, 2 ** 20, 2 ** 21)).rejects.toThrow("as it was when it was opened");
  });

  test("that nobody serves says so, and is asked again", async () => {
    const source = urlSource("http://127.0.0.1:1/model");
    for (let i = 0; i < 2; i++) {
      await expect(source.size(FILE)).rejects.toMatchObject({ code: "not_found" });
    }
  });
});

test("load takes its URL, and the model goes by its last part", async () => {
  const { id, files } = await resolveSource(`${origin}/ranges/`);
  expect(id).toBe("ranges");
  expect(await files.size(FILE)).toBe(bytes.length);
});
