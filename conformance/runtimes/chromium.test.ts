import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { claimsOn } from "../contract/coming.ts";
import { openBrowser, type TestBrowser } from "../testing/browser.ts";
import { lacks } from "../testing/parts.ts";
import type { TestRuntime } from "../testing/runtimes.ts";
import { TASKS } from "./tasks.ts";

const CASES = ["llama-tied", "qwen3-qk-norm"];

/**
 * One claim in so many is checked: all of them on wasm in the Worker, where an application runs it; few on WebGPU, which
 * Deno holds to all of them and whose adapter is slow here.
 */
const ONE_IN = { wasm: { page: 5, worker: 1 }, webgpu: { page: 20, worker: 20 } };

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

    /** The page has the package as it is; a bundle leaves the embedded model behind. */
    const source = () => (kind === "page" ? "capstan-tiny" : `${browser.origin}/models/capstan-tiny`);

    it("runs the verbs on wasm as this runtime does, and writes no files", async () => {
      const { save_error, ...there } = await runtime.run("verbs", { device: "wasm", source: source(), save: "x" });
      expect(save_error).toMatch(/CapstanError: use the path x: .* found a page or worker/);
      const here = await TASKS.verbs({ device: "wasm", source: "capstan-tiny" });
      expect({ ...there, save_error: null }).toEqual(here);
    });

    it("runs the verbs on webgpu, nearly as on wasm", async () => {
      const there = await runtime.run("verbs", { device: "webgpu", source: source() });
      const here = await TASKS.verbs({ device: "wasm", source: "capstan-tiny" });
      expect(there.device).toMatchObject({ kind: "webgpu", description: expect.stringContaining("software") });
      expect(Math.abs(there.axis_norm / here.axis_norm - 1)).toBeLessThan(1e-3);
      expect(there.text).toBe(here.text);
    });

    describe.each(["wasm", "webgpu"] as const)("%s", (device) => {
      it("holds the device contract", async () => {
        const every = ONE_IN[device][kind];
        const only = claimsOn(device).flatMap(({ name }, i) => (i % every === 0 ? [name] : []));
        const { errors } = await runtime.run("contract", { device, only });
        expect(Object.keys(errors)).toEqual(only);
        expect(Object.entries(errors).filter(([, error]) => error !== null)).toEqual([]);
      });

      it.each(CASES)("computes the reference case %s", async (name) => {
        const sources = [`${browser.origin}/conformance/reference/${name}`];
        const [report] = await runtime.run("cases", { device, dtype: "f32", sources });
        expect(report).toMatchObject({ case: name, passed: true, device: { kind: device } });
      });
    });
  });
});
