import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { CaseReport } from "../check/report.ts";
import { claimsOn } from "../contract/coming.ts";
import type { TaskResult } from "../runtimes/tasks.ts";
import { root, type TestRuntime } from "./runtimes.ts";

const reference = join(root, "conformance", "reference");

/** Names of all reference cases. */
export const CASES: readonly string[] = readdirSync(reference).filter((name) =>
  existsSync(join(reference, name, "case.json")),
);

/** Adapters in software compile and run slowly, more so when tests share the processors. */
const PATIENCE = 600_000;

/** Holds WebGPU in a runtime to the device contract: one device runs it all, each claim is a test. */
export function describeContract(open: () => TestRuntime): void {
  const only = claimsOn("webgpu").map(({ name }) => name);

  describe("device contract: webgpu", () => {
    let result: TaskResult<"contract">;
    beforeAll(async () => {
      await using runtime = open();
      result = await runtime.run("contract", { device: "webgpu", only });
    }, PATIENCE);

    it.each(only)("%s", (name) => expect(result.errors[name]).toBe(null));
  });
}

/** Holds WebGPU in a runtime to every reference case. */
export function describeCases(open: () => TestRuntime, dtype: "f32" | "f16"): void {
  describe(`reference cases: webgpu, ${dtype}`, () => {
    let reports: CaseReport[];
    beforeAll(async () => {
      await using runtime = open();
      const sources = CASES.map((name) => join(reference, name));
      reports = await runtime.run("cases", { device: "webgpu", dtype, sources });
    }, PATIENCE);

    it.each(CASES)("%s: within the bounds", (name) => {
      const report = reports[CASES.indexOf(name)]!;
      expect(report).toMatchObject({ case: name, dtype, device: { kind: "webgpu" } });
      expect(report.device.description).toContain("software");
      expect(report.passed, JSON.stringify(report.worst)).toBe(true);
      for (const run of report.runs) expect(run.greedy.certain).toBeGreaterThan(0);
    });
  });
}
