import { describe, expect, it } from "vitest";
import { createApp } from "../../app.ts";
import { axis, CAPPED, files, model, strong } from "../../fixtures/tiny.ts";
import { LocalBackend } from "../local/local_backend.ts";
import type { ChatBackend, ReplyEvent, ReplyRequest } from "./backend.ts";
import { readingOf, ServerBackend } from "./server.ts";

const served = (policy: object = {}) => {
  const app = createApp({
    models: { tiny: async () => model },
    policy: { models: { tiny: { ...CAPPED, ...policy } } },
    files,
  });
  return new ServerBackend("http://host/v1", async (input, init) => await app.request(String(input), init));
};

const request = (part: Partial<ReplyRequest> = {}): ReplyRequest => ({
  model: "tiny",
  messages: [
    { role: "system", content: "You are a pirate." },
    { role: "user", content: "Who are you?" },
  ],
  condition: { cap: null, steering: 0 },
  layer: 4,
  sampling: { temperature: 0.7, max_tokens: 24, seed: 3 },
  ...part,
});

async function replyOf(backend: ChatBackend, of: ReplyRequest, signal = new AbortController().signal) {
  const events: ReplyEvent[] = [];
  for await (const event of backend.reply(of, signal)) events.push(event);
  const tokens = events.filter((event): event is ReplyEvent & { kind: "token" } => event.kind === "token");
  return { events, tokens, text: tokens.map(({ text }) => text).join(""), end: events.at(-1)! };
}

describe("a server as the page's backend", () => {
  it("describes models, caps with their floors, and where readings usually lie", async () => {
    const backend = served();
    const [before] = await backend.models();
    expect(before!.device).toBe("not loaded yet");
    await replyOf(backend, request());
    const [card] = await backend.models();
    expect(card).toMatchObject({ name: "tiny", device: "wasm, bf16", n_ctx: 1024, own: null, pinned: false });
    expect(card!.caps.map(({ name, layers }) => [name, layers])).toEqual([
      ["strong", { start: 3, end: 6 }],
      ["weak", { start: 3, end: 6 }],
    ]);
    expect(card!.caps[0]!.floors[1]).toBeCloseTo(strong.data.floors[1]!, 4);
    expect(card!.axis!.percentiles[25][4]).toBeCloseTo(axis.percentile(4, 25), 4);
  });

  it("streams tokens with their readings at the layer that is asked for, then what the cap did", async () => {
    const backend = served();
    await backend.models();
    const capped = await replyOf(backend, request({ condition: { cap: "strong", steering: 0 } }));
    const floor = strong.data.floors[1]!;
    expect(capped.tokens.length).toBeGreaterThan(3);
    for (const { reading } of capped.tokens.filter(({ text }) => text !== "")) {
      expect(reading.after!).toBeGreaterThan(floor - 1e-2);
      expect(reading.after!).toBeGreaterThan(reading.before! - 1e-2);
    }
    expect(capped.end).toMatchObject({ kind: "end", effect: { tokens: expect.any(Number) } });
    const plain = await replyOf(backend, request());
    expect(plain.end).toMatchObject({ kind: "end", effect: null });
    for (const { reading } of plain.tokens) expect(reading.before).toBe(reading.after);
    const outside = await replyOf(backend, request({ layer: 7, condition: { cap: "strong", steering: 0 } }));
    for (const { reading } of outside.tokens) expect(reading.before).toBe(reading.after);
  });

  it("gives the API's own message for what is refused", async () => {
    const pinned = served({ pinned: true });
    await expect(replyOf(pinned, request())).rejects.toThrow(/pinned/);
    await expect(replyOf(served(), request({ layer: 99 }))).rejects.toThrow("The axis has no layer 99.");
    const app = createApp({ models: { tiny: model }, policy: { models: { tiny: {} }, anonymous: false } });
    const closed = new ServerBackend(
      "http://host/v1",
      async (input, init) => await app.request(String(input), init),
    );
    await expect(closed.models()).rejects.toMatchObject({ status: 401 });
  });

  it("says that a server does not answer, and that a reply was cut off", async () => {
    const down = new ServerBackend("http://host/v1", async () => {
      throw new TypeError("failed");
    });
    await expect(down.models()).rejects.toThrow(/does not answer/);
    const cut = new ServerBackend(
      "http://host/v1",
      async () => new Response('data: {"choices":[{"delta":{"content":"a"}}]}\n\n'),
    );
    await expect(replyOf(cut, request())).rejects.toThrow(/lost in the middle/);
    const failing = new ServerBackend(
      "http://host/v1",
      async () => new Response('data: {"error":{"message":"no"}}\n\n'),
    );
    await expect(replyOf(failing, request())).rejects.toThrow("no");
    const odd = new ServerBackend("http://host/v1", async () => new Response("<html>", { status: 502 }));
    await expect(odd.models()).rejects.toThrow("The server answered with status 502.");
  });

  it("ends without an error where the visitor stops it", async () => {
    const stop = new AbortController();
    const events: ReplyEvent[] = [];
    for await (const event of served().reply(request(), stop.signal)) {
      events.push(event);
      stop.abort();
    }
    expect(events.length).toBeGreaterThan(0);
    expect(events.some(({ kind }) => kind === "end")).toBe(false);
  });

  it("sends its key", async () => {
    let sent: string | null = null;
    const backend = new ServerBackend("http://host/v1", async (_, init) => {
      sent = new Headers(init!.headers).get("authorization");
      return Response.json({ data: [] });
    });
    backend.key = "k";
    await backend.models();
    expect(sent).toBe("Bearer k");
  });
});

describe("readings", () => {
  it("before the cap are the cap's own where it acts on the layer that is read, else the axis's", () => {
    expect(readingOf({ before: 1, after: 2, axis: 3 }, true)).toEqual({ before: 1, after: 3 });
    expect(readingOf({ before: 1, after: 2, axis: 3 }, false)).toEqual({ before: 3, after: 3 });
    expect(readingOf({ before: 1, after: 2 }, false)).toEqual({ before: 1, after: 2 });
    expect(readingOf({}, true)).toEqual({});
  });
});

describe("a model in the page", () => {
  const openLocal = () => {
    const { signal } = new AbortController();
    const options = { device: "wasm", axis: null, on_progress: () => {}, signal } as const;
    return LocalBackend.open({ kind: "embedded" }, options);
  };

  it("gives the same tokens, readings and effect as the server, for every condition that both know", async () => {
    const local = await openLocal();
    const [card] = await local.models();
    expect([card!.name, card!.caps.map(({ name }) => name)]).toEqual(["capstan-tiny", ["p50"]]);
    const app = createApp({
      models: { tiny: model },
      policy: {
        models: {
          tiny: { axis: "axis.safetensors", caps: { p50: { file: "p50.cap.safetensors" } } },
        },
      },
      files: (name) => `models/capstan-tiny/${name}`,
    });
    const server = new ServerBackend(
      "http://host/v1",
      async (input, init) => await app.request(String(input), init),
    );
    await server.models();
    for (const cap of [null, "p50"]) {
      const of = request({ condition: { cap, steering: 0 } });
      expect(await replyOf(local, of)).toEqual(await replyOf(server, of));
    }
    await local.dispose();
  });

  it("takes caps of any layers and percentile, and steers", async () => {
    const local = await openLocal();
    const [card] = await local.models();
    const own = { start: 2, end: 7, percentile: 60 };
    const floor = card!.own!.floor(own, 4)!;
    expect(floor).toBeGreaterThan(card!.axis!.percentiles[50][4]!);
    expect(card!.own!.floor(own, 7)).toBe(null);
    const capped = await replyOf(local, request({ condition: { cap: own, steering: 0 } }));
    for (const { reading, text } of capped.tokens)
      if (text !== "") expect(reading.after!).toBeGreaterThan(floor - 0.5);
    const mean = (reply: typeof capped) =>
      reply.tokens.reduce((sum, { reading }) => sum + (reading.after ?? 0), 0) / reply.tokens.length;
    const up = await replyOf(local, request({ condition: { cap: null, steering: 100 } }));
    const down = await replyOf(local, request({ condition: { cap: null, steering: -100 } }));
    expect(mean(up)).toBeGreaterThan(mean(down) + 50);
    await local.dispose();
  });
});
