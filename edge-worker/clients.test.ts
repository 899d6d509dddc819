import { spawn } from "node:child_process";
import { join } from "node:path";
import { text as text_of } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generate, load } from "../sdk/index.ts";
import type { Model } from "../sdk/types.ts";
import { deno_path, lacks, python, real_model } from "../testing/parts.ts";
import { root } from "../testing/runtimes/runtimes.ts";
import { openWorkerd } from "../testing/runtimes/workerd.ts";
import { createApp } from "./app.ts";
import { serveOnNode } from "./entries/node.ts";
import { user } from "./fixtures/client.ts";

/** People's clients, unmodified, against every entry. */

type Results = Record<string, unknown>;

interface TestServer extends AsyncDisposable {
  /** Ends with `/v1`. */
  readonly base_url: string;
}

const model = await load("capstan-tiny", { device: "wasm" });
const { text, usage } = await generate(model, user("Who are you?"), { temperature: 0, max_tokens: 12 })
  .result;

async function node(served: Model = model): Promise<TestServer> {
  const app = createApp({ models: { tiny: served } });
  const listener = await serveOnNode((request) => app.fetch(request), { host: "127.0.0.1", port: 0 });
  return {
    base_url: `${listener.origin}/v1`,
    [Symbol.asyncDispose]: () => listener.close(AbortSignal.abort()),
  };
}

async function deno(): Promise<TestServer> {
  const policy = join(import.meta.dirname, "fixtures", "tiny.policy.json");
  const args = [
    "run",
    "-A",
    "--no-lock",
    join(root, "bin", "capstan.ts"),
    "serve",
    "--policy",
    policy,
    "--port",
    "0",
  ];
  const child = spawn(deno_path, args, { cwd: root, stdio: ["ignore", "pipe", "ignore"] });
  const origin = await new Promise<string>((resolve, reject) => {
    let said = "";
    child.stdout.on("data", (chunk) => {
      said += chunk;
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(said);
      if (found !== null) resolve(found[0]);
    });
    child.on("exit", (code) => reject(new Error(`ended with ${code}: ${said}`)));
  });
  return {
    base_url: `${origin}/v1`,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
    },
  };
}

/** The worker is handed its models' address as a part of its own. */
async function workerd(): Promise<TestServer> {
  const worker = await openWorkerd(join(import.meta.dirname, "fixtures", "worker.ts"));
  return {
    base_url: `${worker.address}/at/${encodeURIComponent(worker.origin)}/v1`,
    [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose](),
  };
}

const ENTRIES = { node, deno, workerd } as const;

describe.skipIf(lacks("clients")).each(["node", "deno", "workerd"] as const)(
  "clients against %s",
  (entry) => {
    let server: TestServer;
    let clients: Record<string, (base_url: string) => Promise<Results>>;
    beforeAll(async () => {
      if (entry === "workerd" && lacks("workerd")) return;
      server = await ENTRIES[entry]();
      // Not a literal: the package has no types here.
      const path = join(root, "testing", "clients", "clients.mjs");
      ({ clients } = await import(/* @vite-ignore */ path));
    });
    afterAll(() => server?.[Symbol.asyncDispose]());

    it.each(["openai 7", "openai 6"])("%s", async (name) => {
      const { d_model } = model.spec;
      expect(await clients[name]!(server.base_url)).toEqual({
        text,
        finish_reason: "length",
        n_logprobs: usage.completion_tokens,
        streamed: text,
        usage: usage.completion_tokens,
        helper: text,
        completion: true,
        response: text,
        response_streamed: text,
        last_event: "response.incomplete",
        embedding: [d_model, d_model],
        models: ["tiny"],
        error: {
          class: "BadRequestError",
          status: 400,
          code: "invalid_value",
          type: "invalid_request_error",
          param: "max_tokens",
          has_id: true,
        },
        missing: { class: "NotFoundError", status: 404 },
      });
    });

    it("ai, with @ai-sdk/openai-compatible", async () => {
      expect(await clients.ai!(server.base_url)).toEqual({
        text,
        finish_reason: "length",
        streamed: text,
        usage: usage.completion_tokens,
        embedding: model.spec.d_model,
        error: { status: 404, message: 'The model "none" does not exist.' },
      });
    });

    it("LangChain's ChatOpenAI", async () => {
      const expected = { text, finish_reason: "length", streamed: text, usage: usage.completion_tokens };
      expect(await clients.langchain!(server.base_url)).toEqual(expected);
    });

    it("curl", () => {
      const body = JSON.stringify({
        messages: user("Who are you?"),
        temperature: 0,
        max_tokens: 12,
        stream: true,
      });
      const args = [
        "-sN",
        `${server.base_url}/chat/completions`,
        "-H",
        "content-type: application/json",
        "-d",
        body,
      ];
      const child = spawn("curl", args);
      return new Promise<void>((resolve, reject) => {
        let said = "";
        child.stdout.on("data", (chunk) => (said += chunk));
        child.on("error", reject);
        child.on("close", () => {
          expect(said.endsWith("data: [DONE]\n\n")).toBe(true);
          resolve();
        });
      });
    });
  },
);

describe.skipIf(lacks("clients") || lacks("real-model"))("clients of a real chat model", () => {
  it.each(["openai 7", "ai", "langchain"])("%s", { timeout: 300_000 }, async (name) => {
    await using real = await load(real_model, { device: "wasm", n_ctx: 1024 });
    await using server = await node(real);
    const path = join(root, "testing", "clients", "clients.mjs");
    const { clients } = await import(/* @vite-ignore */ path);
    const greedy = { temperature: 0, max_tokens: 12 };
    const { text } = await generate(real, user("Who are you?"), greedy).result;
    expect(text.length).toBeGreaterThan(10);
    expect(await clients[name](server.base_url)).toMatchObject({
      text,
      finish_reason: "length",
      streamed: text,
    });
  });
});

describe.skipIf(lacks("python-openai")).each(["node", "deno", "workerd"] as const)(
  "Python's clients against %s",
  (entry) => {
    let server: TestServer;
    beforeAll(async () => {
      if (entry === "workerd" && lacks("workerd")) return;
      server = await ENTRIES[entry]();
    });
    afterAll(() => server?.[Symbol.asyncDispose]());

    /** As a process: the server may run in this one. */
    async function run(kind: "sync" | "async"): Promise<Results> {
      const script = join(root, "testing", "clients", "clients.py");
      const child = spawn(python, [script, server.base_url, kind]);
      const ended = new Promise((resolve) => child.on("close", resolve));
      const [stdout, stderr, code] = await Promise.all([text_of(child.stdout), text_of(child.stderr), ended]);
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout);
    }

    it("openai", async () => {
      const { d_model } = model.spec;
      const wrong = { has_id: true, type: "invalid_request_error" };
      expect(await run("sync")).toEqual({
        text,
        finish_reason: "length",
        n_logprobs: usage.completion_tokens,
        streamed: text,
        usage: usage.completion_tokens,
        helper: text,
        completion: true,
        scored: true,
        response: text,
        response_streamed: text,
        last_event: "response.incomplete",
        embedding: [d_model, d_model],
        models: ["tiny"],
        cap: "none",
        error: {
          ...wrong,
          class: "BadRequestError",
          status: 400,
          code: "invalid_value",
          param: "max_tokens",
        },
        missing: { ...wrong, class: "NotFoundError", status: 404, code: "model_not_found", param: "model" },
      });
    });

    it("openai's AsyncOpenAI, several at once", async () => {
      expect(await run("async")).toEqual({ texts: [text, text, text], streamed: text, models: ["tiny"] });
    });
  },
);
