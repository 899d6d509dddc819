import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { claimsOn } from "../contract/coming.ts";
import { openBrowser, type TestBrowser } from "../testing/browser.ts";
import { lacks } from "../testing/parts.ts";
import type { TestRuntime } from "../testing/runtimes.ts";
import { TASKS } from "./tasks.ts";

const CASES = ["llama-tied", "qwen3-qk-norm"];

describe.skipIf(lacks("chromium"))("Chromium", () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await openBrowser();
  }, 300_000);
  afterAll(() => browser[Symbol.asyncDispose]());

  describe.each(["page", "worker"] as const)("%s", (kind) => {
    let runtime: TestRuntime;
    beforeAll(async () => {
      runtime = await browser[kind]();
    });
    afterAll(() => runtime[Symbol.asyncDispose]());

    it("runs the verbs on wasm as this runtime does, and writes no files", async () => {
      const source = kind === "page" ? "capstan-tiny" : `${browser.origin}/models/capstan-tiny`;
      const { save_error, ...there } = await runtime.run("verbs", { device: "wasm", source, save: "x" });
      expect(save_error).toMatch(/CapstanError: use the path x: .* found a page or worker/);
      const here = await TASKS.verbs({ device: "wasm", source: "capstan-tiny" });
      expect({ ...there, save_error: null }).toEqual(here);
    });

    // All of it in the Worker, where an application runs it; some of it in the page.
    const only = claimsOn("wasm")
      .filter((_, i) => kind === "worker" || i % 5 === 0)
      .map(({ name }) => name);

    it("holds the device contract on wasm", async () => {
      const { errors } = await runtime.run("contract", { device: "wasm", only });
      expect(Object.keys(errors)).toEqual(only);
      expect(Object.entries(errors).filter(([, error]) => error !== null)).toEqual([]);
    });

    it.each(CASES)("wasm computes the reference case %s", async (name) => {
      const sources = [`${browser.origin}/conformance/reference/${name}`];
      const [report] = await runtime.run("cases", { device: "wasm", dtype: "f32", sources });
      expect(report).toMatchObject({ case: name, passed: true, device: { kind: "wasm" } });
    });
  });
});
