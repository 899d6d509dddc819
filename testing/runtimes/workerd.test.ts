import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CONTRACT } from "../../conformance/contract/index.ts";
import { generate, load } from "../../sdk/index.ts";
import { lacks } from "../parts.ts";
import { buildDist, root, type TestRuntime } from "./runtimes.ts";
import { TASKS } from "./tasks.ts";
import { openTaskWorkerd, openWorkerd, type TestWorkerd } from "./workerd.ts";

describe.skipIf(lacks("workerd"))("workerd", () => {
  let runtime: TestRuntime & { origin: string };
  beforeAll(async () => {
    runtime = await openTaskWorkerd();
  });
  afterAll(() => runtime[Symbol.asyncDispose]());

  it("runs the verbs as this runtime does, and has neither files nor the worker that was asked for", async () => {
    const source = `${runtime.origin}/models/capstan-tiny`;
    const args = { device: "auto", source, save: "x", worker: true } as const;
    const { save_error, device, warnings, ...there } = await runtime.run("verbs", args);
    expect(warnings).toEqual([
      "The engine runs on the calling thread, in small steps: no worker, for workerd has none.",
    ]);
    expect(save_error).toMatch(/CapstanError: use the path x: .* found a page or worker/);
    expect(device.kind).toBe("wasm");
    const {
      device: _,
      warnings: none,
      ...here
    } = await TASKS.verbs({
      device: "wasm",
      source: "capstan-tiny",
    });
    expect({ ...there, save_error: null }).toEqual(here);
    expect(none).toEqual([]);
  });

  it("has no embedded model, and says what to load", async () => {
    const run = runtime.run("verbs", { device: "wasm", source: "capstan-tiny" });
    await expect(run).rejects.toThrow(
      /find Capstan's own files: .* Load a model from a URL or a file source/,
    );
  });

  it("holds the device contract on wasm, each claim in a request of its own", async () => {
    for (const { name } of CONTRACT) {
      const { errors } = await runtime.run("contract", { device: "wasm", only: [name] });
      expect(errors).toEqual({ [name]: null });
    }
  });

  describe("an application, bundled from the package entry, that keeps its model", () => {
    let app: TestWorkerd;
    let folder: string;
    let say: (prompt: string, max_tokens: number) => Promise<string>;
    beforeAll(async () => {
      buildDist();
      folder = mkdtempSync(join(tmpdir(), "capstan-app-"));
      mkdirSync(join(folder, "node_modules"));
      symlinkSync(root, join(folder, "node_modules", "capstan"));
      writeFileSync(join(folder, "app.mjs"), APPLICATION);
      app = await openWorkerd(join(folder, "app.mjs"));
      const model = await load("capstan-tiny");
      say = async (prompt, max_tokens) =>
        (await generate(model, messages(prompt), { temperature: 0, max_tokens }).result).text;
    });
    afterAll(async () => {
      await app[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    });

    const messages = (content: string) => [{ role: "user", content }];
    const ask = async (prompt: string, max_tokens: number, signal?: AbortSignal) => {
      const source = `${app.origin}/models/capstan-tiny`;
      const body = JSON.stringify({ source, messages: messages(prompt), max_tokens });
      return await fetch(app.address, { method: "POST", body, ...(signal === undefined ? {} : { signal }) });
    };
    const text = async (...of: Parameters<typeof ask>) => await (await ask(...of)).text();

    it("answers one request after the other, and several at once that end at different times", async () => {
      expect(await text("Who are you?", 4)).toBe(await say("Who are you?", 4));
      expect(await text("Who are you?", 4)).toBe(await say("Who are you?", 4));
      const asked = [
        ["Tell me a story.", 3],
        ["What colour is the sky?", 60],
        ["Who are you?", 40],
        ["What is 2 + 3?", 1],
      ] as const;
      const answers = await Promise.all(asked.map(([prompt, n]) => text(prompt, n)));
      expect(answers).toEqual(await Promise.all(asked.map(([prompt, n]) => say(prompt, n))));
    });

    it("streams, and goes on when a client leaves in the middle", async () => {
      const abort = new AbortController();
      const left = await ask("Who are you?", 200, abort.signal);
      const reader = left.body!.getReader();
      const { value } = await reader.read();
      const whole = await say("Who are you?", 200);
      const first = new TextDecoder().decode(value);
      expect(whole.startsWith(first) && first.length < whole.length).toBe(true);
      const other = text("What colour is the sky?", 60);
      abort.abort();
      expect(await other).toBe(await say("What colour is the sky?", 60));
      expect(await text("Tell me a story.", 20)).toBe(await say("Tell me a story.", 20));
    });
  });
});

const APPLICATION = `
import { generate, load } from "capstan";

let model;
export default {
  async fetch(request) {
    const { source, messages, max_tokens } = await request.json();
    model ??= load(source);
    const reply = generate(await model, messages, { temperature: 0, max_tokens, signal: request.signal });
    const { readable, writable } = new TransformStream();
    const write = async () => {
      const writer = writable.getWriter();
      for await (const { text } of reply) await writer.write(new TextEncoder().encode(text));
      await writer.close();
    };
    write().catch(() => {});
    return new Response(readable);
  },
};`;
