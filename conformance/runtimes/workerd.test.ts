import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generate, load } from "../../sdk/index.ts";
import { CONTRACT } from "../contract/index.ts";
import { lacks } from "../testing/parts.ts";
import { buildDist, root, type TestRuntime } from "../testing/runtimes.ts";
import { openTaskWorkerd, openWorkerd } from "../testing/workerd.ts";
import { TASKS } from "./tasks.ts";

describe.skipIf(lacks("workerd"))("workerd", () => {
  let runtime: TestRuntime & { origin: string };
  beforeAll(async () => {
    runtime = await openTaskWorkerd();
  });
  afterAll(() => runtime[Symbol.asyncDispose]());

  it("runs the verbs as this runtime does, and has no files", async () => {
    const args = { device: "auto", source: `${runtime.origin}/models/capstan-tiny`, save: "x" } as const;
    const { save_error, device, ...there } = await runtime.run("verbs", args);
    expect(save_error).toMatch(/CapstanError: use the path x: .* found a page or worker/);
    expect(device.kind).toBe("wasm");
    const { device: _, ...here } = await TASKS.verbs({ device: "wasm", source: "capstan-tiny" });
    expect({ ...there, save_error: null }).toEqual(here);
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

  it("runs what an application bundles from the package's door", async () => {
    buildDist();
    const folder = mkdtempSync(join(tmpdir(), "capstan-app-"));
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(root, join(folder, "node_modules", "capstan"));
    const app = join(folder, "app.mjs");
    writeFileSync(
      app,
      `import { generate, load } from "capstan";
       export default {
         async fetch(request) {
           const { source, prompt } = await request.json();
           const model = await load(source);
           const { text } = await generate(model, prompt, { temperature: 0, max_tokens: 8 }).result;
           await model.dispose();
           return Response.json(text);
         },
       };`,
    );
    try {
      await using workerd = await openWorkerd(app);
      const source = `${workerd.origin}/models/capstan-tiny`;
      const prompt = [{ role: "user", content: "What colour is the sky?" }];
      const model = await load("capstan-tiny");
      const { text } = await generate(model, prompt, { temperature: 0, max_tokens: 8 }).result;
      await model.dispose();
      expect(await workerd.ask({ source, prompt })).toBe(text);
      // A worker serves many requests, one after the other and at once.
      expect(await Promise.all([1, 2, 3].map(() => workerd.ask({ source, prompt })))).toEqual([
        text,
        text,
        text,
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
