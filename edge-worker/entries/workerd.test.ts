import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generate, load } from "../../sdk/index.ts";
import { lacks } from "../../testing/parts.ts";
import { root } from "../../testing/runtimes/runtimes.ts";
import { openWorkerd, type TestWorkerd } from "../../testing/runtimes/workerd.ts";
import { eventsOf, user } from "../fixtures/client.ts";
import { assetFiles, bucketFiles } from "./bindings.ts";

describe.skipIf(lacks("workerd"))("the app in workerd", () => {
  let worker: TestWorkerd;
  let expected: (content: string, max_tokens: number) => Promise<string>;
  beforeAll(async () => {
    worker = await openWorkerd(join(root, "edge-worker", "fixtures", "worker.ts"));
    const model = await load("capstan-tiny", { device: "wasm" });
    expected = async (content, max_tokens) =>
      (await generate(model, user(content), { temperature: 0, max_tokens }).result).text;
  });
  afterAll(() => worker[Symbol.asyncDispose]());

  const ask = (path: string, body?: object, signal?: AbortSignal) =>
    fetch(`${worker.address}/at/${encodeURIComponent(worker.origin)}${path}`, {
      headers: { "content-type": "application/json" },
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
  const chat = (content: string, max_tokens: number, fields: object = {}, signal?: AbortSignal) =>
    ask("/v1/chat/completions", { messages: user(content), max_tokens, temperature: 0, ...fields }, signal);
  const textOf = async (response: Response) =>
    ((await response.json()) as { choices: [{ message: { content: string } }] }).choices[0].message.content;

  it("loads the model once, for the requests that come at the same time before it is there", async () => {
    const asked = ["Who are you?", "What colour is the sky?", "Tell me a story."];
    const answers = await Promise.all(asked.map((content) => chat(content, 8)));
    expect(await Promise.all(answers.map(textOf))).toEqual(
      await Promise.all(asked.map((content) => expected(content, 8))),
    );
    expect((await ask("/ready")).status).toBe(200);
  });

  it("streams, and goes on when a client leaves", async () => {
    const left = new AbortController();
    const leaving = await chat("Tell me a story.", 200, { stream: true }, left.signal);
    await leaving.body!.getReader().read();
    left.abort();
    const chunks = eventsOf(await (await chat("Who are you?", 12, { stream: true })).text());
    const text = chunks.map(({ choices }) => choices[0].delta.content ?? "").join("");
    expect(text).toBe(await expected("Who are you?", 12));
  });

  it("refuses as it does elsewhere, and describes itself", async () => {
    const wrong = await chat("x", 0);
    expect([wrong.status, ((await wrong.json()) as { error: { param: string } }).error.param]).toEqual([
      400,
      "max_tokens",
    ]);
    const { paths } = (await (await ask("/openapi.json")).json()) as { paths: object };
    expect(Object.keys(paths)).toContain("/v1/chat/completions");
    expect(await (await ask("/metrics")).text()).toContain("capstan_tokens_total");
  });
});

describe("model files in a worker's bindings", () => {
  const bytes = new Uint8Array(100).map((_, i) => i);

  it("are read from a bucket by ranges", async () => {
    const files = bucketFiles(
      {
        head: async (key) => (key === "m/x" ? { size: 100 } : null),
        get: async (key, { range: { offset, length } }) =>
          key === "m/x" ? { arrayBuffer: async () => bytes.slice(offset, offset + length).buffer } : null,
      },
      "m",
    );
    expect([await files.size("x"), await files.size("y")]).toEqual([100, undefined]);
    expect([...(await files.read("x", 3, 6))]).toEqual([3, 4, 5]);
    await expect(files.read("y", 0, 1)).rejects.toThrow(/found no such key/);
    await expect(files.read("x", 90, 120)).rejects.toThrow(/found 10 bytes of 30/);
  });

  it.each([true, false])("are read from assets, whether these take ranges or not (%s)", async (ranges) => {
    const files = assetFiles(
      {
        async fetch(url, { method, headers } = {}) {
          if (!url.endsWith("/m/x")) return new Response(null, { status: 404 });
          const [, start, end] = /bytes=(\d+)-(\d+)/.exec(headers?.range ?? "") ?? [];
          if (method === "HEAD") return new Response(null, { headers: { "content-length": "100" } });
          if (!ranges) return new Response(bytes);
          return new Response(bytes.slice(Number(start), Number(end) + 1), { status: 206 });
        },
      },
      "m",
    );
    expect([await files.size("x"), await files.size("y")]).toEqual([100, undefined]);
    expect([...(await files.read("x", 3, 6))]).toEqual([3, 4, 5]);
    await expect(files.read("y", 0, 1)).rejects.toThrow(/status 404/);
  });
});
