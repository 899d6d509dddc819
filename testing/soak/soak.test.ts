import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { creator } from "../../conformance/devices.ts";
import { lacks } from "../parts.ts";
import { denoRuntime } from "../runtimes/runtimes.ts";
import { useBuiltWorker } from "../worker.ts";
import { soak } from "./soak.ts";

/** A few hundred callers; `npm run soak` runs as many as one likes. */
describe("many callers at once, some broken off, on a model short of memory whose steps fail now and then", () => {
  it.each([
    ["wasm", 1],
    ["wasm", 2],
    ["wasm_worker", 3],
  ])("each gets what it gets alone, and nothing stays: %s, seed %i", async (device, seed) => {
    if (device === "wasm_worker") useBuiltWorker();
    setFlagsFromString("--expose-gc");
    (globalThis as { gc?: unknown }).gc = runInNewContext("gc");
    const report = await soak({
      count: 200,
      concurrency: 24,
      seed,
      source: "models/capstan-tiny",
      blocks: 30,
      makeDevice: creator(device),
      same_bits: true,
    });
    expect(report.wrong).toEqual([]);
    expect([report.blocks, report.hook_sets]).toEqual([0, 0]);
    for (const many of [report.finished, report.aborted, report.left, report.sessions, report.failed_steps]) {
      expect(many).toBeGreaterThan(9);
    }
    expect(report.heap[1] - report.heap[0]).toBeLessThan(2 ** 20);
  });

  it.skipIf(lacks("vulkan") || lacks("deno"))("on WebGPU too", async () => {
    await using deno = denoRuntime();
    const { wrong, blocks, hook_sets, failed_steps } = await deno.run("soak", { count: 100 });
    expect(wrong).toEqual([]);
    expect([blocks, hook_sets, failed_steps > 2]).toEqual([0, 0, true]);
  });
});
