import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CONTRACT } from "../../conformance/contract/index.ts";
import { generate, load } from "../../sdk/index.ts";
import { lacks } from "../parts.ts";
import { openBrowser, type TestBrowser } from "./browser.ts";
import type { TestRuntime } from "./runtimes.ts";
import { TASKS } from "./tasks.ts";

/** A reply of the embedded model, and how many modules of WebAssembly were compiled as they came. */
const PACKAGE_IN_A_PAGE = `(async () => {
  let streamed = 0;
  const compile = WebAssembly.compileStreaming;
  WebAssembly.compileStreaming = (from) => (streamed++, compile(from));
  const { generate, load } = await import("/dist/js/index.js");
  const model = await load("capstan-tiny", { device: "wasm" });
  const { text } = await generate(model, "Hello", { temperature: 0, max_tokens: 8 }).result;
  await model.dispose();
  return { text, streamed };
})()`;

const CASES = ["llama-tied", "qwen3-qk-norm"];

/** Half a minute of compiling for each device on an adapter in software. */
const PATIENCE = 300_000;

describe.skipIf(lacks("chromium"))("Chromium", () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await openBrowser();
  }, PATIENCE);
  afterAll(() => browser[Symbol.asyncDispose]());

  describe.each(["page", "worker"] as const)("%s", (kind) => {
    let runtime: TestRuntime;
    beforeAll(async () => {
      runtime = await browser[kind]();
    });
    afterAll(() => runtime[Symbol.asyncDispose]());

    it("runs the verbs on wasm as this runtime does, and writes no files", async () => {
      // The page has the package as it is; a bundle leaves the embedded model behind.
      const source = kind === "page" ? "capstan-tiny" : `${browser.origin}/models/capstan-tiny`;
      const { save_error, device, ...there } = await runtime.run("verbs", {
        device: "wasm",
        source,
        save: "x",
      });
      expect(save_error).toMatch(/CapstanError: use the path x: .* found a page or worker/);
      const { device: _, ...here } = await TASKS.verbs({ device: "wasm", source: "capstan-tiny" });
      expect({ ...there, save_error: null }).toEqual(here);
      // A Worker is off the page's thread already.
      const where = kind === "page" ? ", in a worker" : "";
      expect(device).toEqual({ kind: "wasm", description: `WASM SIMD, 1 thread${where}`, dtype: "bf16" });
    });

    it("holds the device contract on wasm", async () => {
      // All of it in the Worker, where an application runs it; some of it in the page.
      const every = kind === "worker" ? 1 : 5;
      const only = CONTRACT.flatMap(({ name }, i) => (i % every === 0 ? [name] : []));
      const { errors } = await runtime.run("contract", { device: "wasm", only });
      expect(errors).toEqual(Object.fromEntries(only.map((name) => [name, null])));
    });

    it("holds the device contract in a worker of its own", async () => {
      const only = CONTRACT.flatMap(({ name }, i) => (i % 5 === 0 ? [name] : []));
      const { description, errors } = await runtime.run("contract", { device: "wasm_worker", only });
      expect(errors).toEqual(Object.fromEntries(only.map((name) => [name, null])));
      expect(description).toBe("WASM SIMD, 1 thread, in a worker");
    });

    it.each(CASES)("computes the reference case %s on wasm", async (name) => {
      const sources = [`${browser.origin}/conformance/reference/${name}`];
      const [report] = await runtime.run("cases", { device: "wasm", dtype: "f32", sources });
      expect(report).toMatchObject({ case: name, passed: true, device: { kind: "wasm" } });
    });
  });

  it("says that a worker is gone which the browser ended without a word", async () => {
    await using page = await browser.page();
    const running = page.run("lost", { source: "capstan-tiny" });
    await page.endWorkers();
    expect(await running).toEqual({
      description: "WASM SIMD, 1 thread, in a worker",
      code: "device_lost",
      later: "device_lost",
    });
  });

  it("loads the package's own files in a page by an import map, and compiles its modules as they arrive", async () => {
    const found = await browser.evaluate(PACKAGE_IN_A_PAGE);
    const model = await load("capstan-tiny", { device: "wasm" });
    const { text } = await generate(model, "Hello", { temperature: 0, max_tokens: 8 }).result;
    await model.dispose();
    expect(found).toEqual({ text, streamed: 2 });
  });

  // Deno holds WebGPU to everything; here, that this runtime's does the same.
  describe("WebGPU", () => {
    it("computes a reference case and holds a sample of the contract, in a page", {
      timeout: PATIENCE,
    }, async () => {
      await using page = await browser.page();
      const sources = [`${browser.origin}/conformance/reference/${CASES[0]}`];
      const [report] = await page.run("cases", { device: "webgpu", dtype: "f32", sources });
      expect(report).toMatchObject({ case: CASES[0], passed: true, device: { kind: "webgpu" } });
      const only = CONTRACT.flatMap(({ name }, i) => (i % 40 === 0 ? [name] : []));
      const { errors } = await page.run("contract", { device: "webgpu", only });
      expect(errors).toEqual(Object.fromEntries(only.map((name) => [name, null])));
    });

    it("runs the verbs as wasm does, in a Worker", { timeout: PATIENCE }, async () => {
      await using worker = await browser.worker();
      const source = `${browser.origin}/models/capstan-tiny`;
      const there = await worker.run("verbs", { device: "webgpu", source });
      const here = await TASKS.verbs({ device: "wasm", source: "capstan-tiny" });
      expect(there.device).toMatchObject({
        kind: "webgpu",
        description: expect.stringContaining("software"),
      });
      expect(Math.abs(there.axis_norm / here.axis_norm - 1)).toBeLessThan(1e-3);
      expect(there.text).toBe(here.text);
    });
  });
});
