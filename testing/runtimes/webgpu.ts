import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { CONTRACT } from "../../conformance/contract/index.ts";
import { entryOf, itemAt } from "../../models/certain.ts";
import { CASES, reference } from "../cases.ts";
import type { TestRuntime } from "./runtimes.ts";
import type { TaskResult } from "./tasks.ts";

/** Adapters in software compile and run slowly, more so when tests share the processors. */
const PATIENCE = 1_200_000;

/** Holds WebGPU in a runtime to the device contract: one device runs it all, each claim is a test. */
export function describeContract(open: () => TestRuntime): void {
  const only = CONTRACT.map(({ name }) => name);

  describe("device contract: webgpu", () => {
    let result: TaskResult<"contract">;
    beforeAll(async () => {
      await using runtime = open();
      result = await runtime.run("contract", { device: "webgpu_as_hardware", only });
    }, PATIENCE);

    it.each(only)("%s", (name) => expect(result.errors[name]).toBe(null));
  });
}

/** Holds WebGPU in a runtime to reference cases. */
export function describeCases(
  open: () => TestRuntime,
  dtype: "f32" | "f16" | "q8" | "q4",
  names: readonly string[] = CASES,
  device: "webgpu" | "webgpu_as_hardware" = "webgpu",
): void {
  describe(`reference cases: webgpu, ${dtype}`, () => {
    const results = new Map<string, TaskResult<"cases">[number]>();
    beforeAll(async () => {
      await using runtime = open();
      const sources = names.map((name) => join(reference, name));
      const reports = await runtime.run("cases", { device, dtype, sources });
      for (const [i, name] of names.entries()) results.set(name, itemAt(reports, i));
    }, PATIENCE);

    it.each(names)("%s: within the bounds", (name) => {
      const report = entryOf(results, name);
      if ("error" in report) throw new Error(report.error);
      expect(report).toMatchObject({ case: name, dtype, device: { kind: "webgpu" } });
      expect(report.device.description).toContain("software");
      expect(report.passed, JSON.stringify(report.worst)).toBe(true);
      for (const run of report.runs) expect(run.greedy.certain).toBeGreaterThan(0);
    });
  });
}
