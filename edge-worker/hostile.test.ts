import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { createApp } from "./app.ts";
import { get, post } from "./fixtures/client.ts";
import { CAPPED, files, model } from "./fixtures/tiny.ts";
import type { LogEntry } from "./log.ts";

/** Requests that no client should send: the shape of OpenAI's errors, no 500, nothing of the server in them. */

/** Runs; `CAPSTAN_HOSTILE=100000` for many. */
const numRuns = Number(process.env.CAPSTAN_HOSTILE ?? 400);
const log: LogEntry[] = [];
const app = createApp({
  models: { tiny: model },
  files,
  policy: {
    models: { tiny: CAPPED },
    anonymous: { hooks: true },
    limits: { max_tokens: 3, max_body_bytes: 50_000 },
  },
  log: (entry) => log.push(entry),
});
const PATHS = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"];
let fields: string[];
beforeAll(async () => {
  const { components } = (await get(app, "/openapi.json")).body;
  const names = ["ChatCompletionRequest", "CompletionRequest", "ResponsesRequest", "EmbeddingRequest"];
  fields = [...new Set(names.flatMap((name) => Object.keys(components.schemas[name].properties)))];
});

function check({ status, body }: { status: number; body: unknown }): void {
  if (status === 200) return;
  expect([400, 403, 404, 413, 415]).toContain(status);
  const { error } = body as { error: { message: string; type: string; param: unknown; code: unknown } };
  expect(Object.keys(error).sort()).toEqual(["code", "message", "param", "type"]);
  expect(error.message.length).toBeLessThan(1500);
  expect(error.message).not.toMatch(/node_modules|\.ts\b|\/work|\/home|at \w+ \(/);
}

const wild = fc.jsonValue({ maxDepth: 4 });
const near = fc.oneof(
  wild,
  fc.constantFrom(
    -1,
    0,
    1,
    2,
    1e308,
    -1e308,
    0.5,
    2 ** 53,
    "",
    "tiny",
    null,
    true,
    false,
    [],
    {},
    [[]],
    [1],
    ["x"],
  ),
  fc.constantFrom(
    [{ role: "user", content: "x" }],
    [{ role: "assistant", content: null }],
    [{ role: "tool" }],
  ),
  fc.constantFrom("\ud800", "\u0000", "<|im_end|>", "{{ 7*7 }}", "__proto__", "../../etc/passwd"),
);

describe("hostile requests", () => {
  it("with any values in any fields", async () => {
    const body = fc.dictionary(fc.oneof(fc.constantFrom(...fields), fc.string()), near, { maxKeys: 6 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...PATHS), body, fc.boolean(), async (path, given, is_whole) => {
        const valid = { messages: [{ role: "user", content: "x" }], prompt: "x", input: "x" };
        const [, , kind] = path.split("/");
        const needed =
          kind === "chat"
            ? { messages: valid.messages }
            : kind === "completions"
              ? { prompt: "x" }
              : { input: "x" };
        check(await post(app, path, is_whole ? { ...needed, max_tokens: 1, ...given } : given));
      }),
      { numRuns },
    );
  });

  it("of bytes that are no JSON, or are JSON cut and damaged", async () => {
    const whole = JSON.stringify({
      messages: [{ role: "user", content: "é\u{1f600}" }],
      max_tokens: 1,
      stop: ["a"],
    });
    const damaged = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat()).map(([at, byte, end]) => {
      const bytes = new TextEncoder().encode(whole).slice(0, 1 + (end % (2 * whole.length)));
      bytes[at % bytes.length] = byte;
      return bytes;
    });
    const any = fc.oneof(damaged, fc.uint8Array({ maxLength: 60 }));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...PATHS), any, async (path, bytes) =>
        check(await post(app, path, bytes)),
      ),
      { numRuns },
    );
  });

  it("of any messages, roles and parts", async () => {
    const text = fc.oneof(fc.string({ unit: "binary" }), near);
    const part = fc.record(
      { type: fc.constantFrom("text", "image_url", "input_audio", "refusal"), text },
      { requiredKeys: [] },
    );
    const message = fc.record(
      {
        role: fc.oneof(
          fc.constantFrom("system", "developer", "user", "assistant", "tool", "function"),
          fc.string(),
        ),
        content: fc.oneof(text, fc.array(part, { maxLength: 3 })),
        tool_calls: fc.array(fc.record({ id: text, function: fc.record({ name: text, arguments: text }) }), {
          maxLength: 2,
        }),
        name: text,
        tool_call_id: text,
      },
      { requiredKeys: ["role"] },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 4 }), fc.boolean(), async (messages, continued) => {
        check(await post(app, PATHS[0]!, { messages, max_tokens: 1, continue_final_message: continued }));
      }),
      { numRuns },
    );
  });

  it("left nothing running and nothing unsaid", () => {
    const { n_running, n_waiting, kv_blocks } = model.stats();
    expect([n_running, n_waiting, kv_blocks.used - kv_blocks.cached]).toEqual([0, 0, 0]);
    expect(log.filter(({ level }) => level === "error")).toEqual([]);
    expect(log.length).toBeGreaterThan(3 * numRuns);
  });
});

describe("/openapi.json", () => {
  it("describes every endpoint by the schemas that requests are checked with", async () => {
    const { body } = await get(app, "/openapi.json");
    expect(body.openapi).toBe("3.1.0");
    expect(Object.keys(body.paths)).toEqual(
      expect.arrayContaining([...PATHS, "/v1/models", "/v1/caps", "/health"]),
    );
    const chat = body.components.schemas.ChatCompletionRequest;
    expect(chat.required).toEqual(["messages"]);
    expect(chat.additionalProperties).toBe(false);
    expect(chat.properties.temperature).toMatchObject({ minimum: 0, maximum: 2 });
  });
});

describe("/metrics", () => {
  it("is Prometheus' text format", async () => {
    const { body, headers } = await get(app, "/metrics");
    expect(headers.get("content-type")).toContain("version=0.0.4");
    const line = /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [-+0-9.e]+)$/;
    expect(
      body
        .trimEnd()
        .split("\n")
        .filter((one: string) => !line.test(one)),
    ).toEqual([]);
    for (const name of [
      "capstan_http_requests_total",
      "capstan_tokens_total",
      "capstan_cap_positions_total",
      "capstan_kv_blocks",
    ])
      expect(body).toContain(`# TYPE ${name} `);
    expect(body).toContain('capstan_sequences{model="tiny",state="running"} 0');
  });
});
