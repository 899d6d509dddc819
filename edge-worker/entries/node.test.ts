import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { load } from "../../sdk/index.ts";
import type { HttpListener } from "../../sdk/platform/index.ts";
import type { Model } from "../../sdk/types.ts";
import { createApp } from "../app.ts";
import { eventsOf, user } from "../fixtures/client.ts";
import type { LogEntry } from "../log.ts";
import { Service } from "../service/service.ts";
import { serveOnNode } from "./node.ts";

/** The app behind Node's own server, over sockets. */

let model: Model;
let service: Service;
let listener: HttpListener;
const log: LogEntry[] = [];
const never = new AbortController().signal;
beforeAll(async () => {
  model = await load("capstan-tiny", { device: "wasm", max_queue: 2 });
  service = new Service({ models: { tiny: model } });
  const app = createApp({ service, log: (entry) => log.push(entry) });
  listener = await serveOnNode((request) => app.fetch(request), { host: "127.0.0.1", port: 0 });
});
afterAll(async () => {
  await listener.close(AbortSignal.abort());
  await service.dispose();
});

/** A reply that goes on to the end of the context. */
const long = {
  messages: user("Tell me a story."),
  max_tokens: 900,
  temperature: 1,
  seed: 3,
  logit_bias: {} as Record<number, number>,
};

const ask = (body: object, signal: AbortSignal = never) =>
  fetch(`${listener.origin}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });

/** Waits for what comes soon; fails where it does not. */
async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (holds()) return;
    await sleep(10);
  }
  throw new Error("it did not come");
}

const isIdle = () => {
  const { n_running, n_waiting, kv_blocks } = model.stats();
  return n_running === 0 && n_waiting === 0 && kv_blocks.used === kv_blocks.cached;
};

beforeAll(() => {
  // Ids that end a reply are never drawn.
  for (const id of model.spec.eos_token_ids) long.logit_bias[id] = -100;
});

describe("a client that leaves", () => {
  it("frees its blocks: in the middle of a stream, before the first token, and without a stream", async () => {
    for (const [stream, read] of [
      [true, true],
      [true, false],
      [false, false],
    ] as const) {
      const left = new AbortController();
      const asked = ask({ ...long, stream }, left.signal).catch(() => null);
      if (read) await (await asked)!.body!.getReader().read();
      else await until(() => model.stats().n_running > 0);
      expect(isIdle()).toBe(false);
      left.abort();
      await until(isIdle);
    }
    await until(() => log.filter(({ code }) => code === "client_closed_request").length >= 2);
  });

  it("holds up nobody: the others' streams go on to their end", async () => {
    const left = new AbortController();
    const leaving = ask({ ...long, stream: true }, left.signal).catch(() => null);
    const staying = ask({ ...long, max_tokens: 40, stream: true });
    await leaving;
    left.abort();
    expect(eventsOf(await (await staying).text()).at(-1).choices[0].finish_reason).toBe("length");
    await until(isIdle);
  });
});

describe("a full queue", () => {
  it("is answered 429 with Retry-After, and nothing is lost", async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => ask({ ...long, n: 8, max_tokens: 12 })),
    );
    const statuses = answers.map(({ status }) => status);
    for (const { status, headers } of answers)
      if (status === 429) expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
    const bodies = (await Promise.all(answers.map((one) => one.json()))) as {
      error?: { code: string };
      usage?: { completion_tokens: number };
    }[];
    for (const [i, body] of bodies.entries()) {
      if (statuses[i] === 200) expect(body.usage!.completion_tokens).toBe(96);
      else expect([statuses[i], body.error!.code]).toEqual([429, "queue_full"]);
    }
    expect(statuses).toContain(200);
    expect(statuses).toContain(429);
    await until(isIdle);
  });
});

describe("what is no HTTP", () => {
  /** Everything that a server writes to a socket before it ends it. */
  const raw = (text: string | Uint8Array) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(listener.origin).port), "127.0.0.1", () => socket.write(text));
      let answered = "";
      socket.on("data", (chunk) => {
        answered += chunk;
      });
      socket.on("close", () => resolve(answered));
      socket.on("error", reject);
    });
  const body = JSON.stringify({ messages: user("Hi"), max_tokens: 1 });
  const head = (version: string, extra = "") =>
    `POST /v1/chat/completions HTTP/${version}\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n${extra}\r\n`;

  it("is answered in the same shape, and closed", async () => {
    const garbage = await raw("GARBAGE\r\n\r\n");
    expect(garbage).toMatch(/^HTTP\/1\.1 400 /);
    expect(JSON.parse(garbage.split("\r\n\r\n")[1]!).error).toMatchObject({ code: "invalid_http" });
    expect(await raw(`GET / HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(20_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 /,
    );
    const twice = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello`;
    expect(await raw(twice)).toMatch(/^HTTP\/1\.1 400 /);
  });

  it.each([
    ["a host with a space", "GET /health HTTP/1.1\r\nhost: a b\r\n\r\n"],
    ["a host that is none", "GET /health HTTP/1.1\r\nhost: [::1\r\n\r\n"],
    ["an empty host", "GET /health HTTP/1.1\r\nhost: \r\n\r\n"],
    ["the server as a whole", "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n"],
    ["a target that is none", "GET http:/// HTTP/1.1\r\nhost: x\r\n\r\n"],
    ["a backslash", "GET \\health HTTP/1.1\r\nhost: x\r\n\r\n"],
  ])("%s is answered in the same shape", async (_, request) => {
    const answered = await raw(request.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"));
    expect(answered).toMatch(/^HTTP\/1\.1 400 /);
    expect(answered).toContain('"code":"invalid_http"');
  });

  it("idle connections are kept longer than balancers keep them: a server that closes first loses requests", async () => {
    const { headers } = await ask({ messages: user("Hi"), max_tokens: 1 });
    expect(Number(/timeout=(\d+)/.exec(headers.get("keep-alive") ?? "")?.[1])).toBeGreaterThan(60);
  });

  it("HTTP/1.0 and pipelined requests are served", async () => {
    expect(await raw(head("1.0") + body)).toMatch(/^HTTP\/1\.1 200 [\s\S]*chat\.completion/);
    const both = await raw(head("1.1") + body + head("1.1", "connection: close\r\n") + body);
    expect(both.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
  });

  it("a body that ends too soon leaves nothing behind", async () => {
    await new Promise<void>((resolve) => {
      const socket = connect(Number(new URL(listener.origin).port), "127.0.0.1", () => {
        socket.write(head("1.1") + body.slice(0, 5), () => socket.destroy());
      });
      socket.on("close", () => resolve());
    });
    expect((await ask({ messages: user("Hi"), max_tokens: 1 })).status).toBe(200);
    await until(isIdle);
  });
});

describe("draining", () => {
  it("lets what runs end, refuses the rest with 503, and is not ready", async () => {
    const own = await load("capstan-tiny", { device: "wasm" });
    const draining = new Service({ models: { tiny: own } });
    const app = createApp({ service: draining });
    const server = await serveOnNode((request) => app.fetch(request), { host: "127.0.0.1", port: 0 });
    const post = (body: object) =>
      fetch(`${server.origin}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    const streaming = await post({ ...long, max_tokens: 200, stream: true });
    expect((await fetch(`${server.origin}/ready`)).status).toBe(200);
    const drained = draining.drain(never);
    expect((await fetch(`${server.origin}/ready`)).status).toBe(503);
    expect((await fetch(`${server.origin}/health`)).status).toBe(200);
    const refused = await post(long);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(((await refused.json()) as { error: { code: string } }).error.code).toBe("draining");
    const chunks = eventsOf(await streaming.text());
    expect(chunks.at(-1).choices[0].finish_reason).toBe("length");
    await drained;
    await server.close(never);
    await draining.dispose();
  });
});
