import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { lacks } from "../testing/parts.ts";
import { denoRuntime, root } from "../testing/runtimes/runtimes.ts";

/** The verb as it is typed, over shapes that take seconds: that it runs and says what it promises, not how fast. */

const scratch = mkdtempSync(join(tmpdir(), "capstan-bench-verb-"));
afterAll(() => rmSync(scratch, { recursive: true }));

/** A short run over weights that are written once. */
const SHORT = ["--shape", "tiny", "--cache", scratch, "--rounds", "1"];

function bench(...args: string[]) {
  const command = [join(root, "bin", "capstan.mjs"), "bench", ...args];
  return spawnSync(process.execPath, command, { cwd: scratch, encoding: "utf8" });
}

const speeds = { prefill: expect.any(Number), decode: expect.any(Number) };
const ours = { name: "capstan", tok_s: speeds, tok_cpu_s: speeds, logits_relative_error: 0 };

describe("bench on the CPU", () => {
  it("measures a small shape, whose weights it keeps where it is asked to", () => {
    const { status, stdout, stderr } = bench(...SHORT, "--json");
    expect(status, stderr).toBe(0);
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({
      shape: "tiny",
      engines: [
        { ...ours, dtype: "f32" },
        { ...ours, dtype: "q8" },
        { ...ours, dtype: "q4" },
      ],
      work: { rounds: 1 },
      caps: { layers: 2 },
    });
    expect(readdirSync(scratch)).toEqual(["bench-tiny"]);
  });

  it.skipIf(lacks("peers"))("measures a peer beside it, which computes the same", () => {
    const { status, stdout, stderr } = bench(...SHORT, "--peers", "--dtype", "f32,q4", "--json");
    expect(status, stderr).toBe(0);
    const { engines } = JSON.parse(stdout);
    const llama_cpp = { name: expect.stringMatching(/^llama\.cpp /), tok_s: speeds };
    const onnxruntime = { name: expect.stringMatching(/^onnxruntime-web /), tok_s: speeds };
    expect(engines).toMatchObject([
      { ...ours, dtype: "f32" },
      { ...onnxruntime, dtype: "f32" },
      { ...llama_cpp, dtype: "f32", logits_relative_error: null },
      { ...ours, dtype: "q4" },
      { ...llama_cpp, dtype: "q4", logits_relative_error: null },
    ]);
    expect(engines[1].logits_relative_error).toBeLessThan(1e-4);
  });

  it("refuses a shape that it does not have", () => {
    const { status, stderr } = bench("--shape", "0.6B");
    expect(status).not.toBe(0);
    expect(stderr).toContain('bench WASM: need shape 134M or tiny, found "0.6B"');
  });

  it.each([
    ["--shape", "--model", ["tiny", "--model", "capstan-tiny"]],
    ["--peers", "--start_up", ["--start_up"]],
    ["--shape", "--drift", ["tiny", "--drift"]],
    ["--cache", "--device webgpu", [scratch, "--device", "webgpu"]],
  ])("refuses %s beside %s, which would pass it over", (option, other, rest) => {
    const { status, stderr } = bench(option, ...rest);
    expect(status).not.toBe(0);
    expect(stderr).toContain(`need ${other} or ${option}, found both`);
  });
});

describe("bench of a server", () => {
  it("measures what watching drift costs", () => {
    const { status, stdout, stderr } = bench("--drift", "--model", "capstan-tiny", "--rounds", "1", "--json");
    expect(status, stderr).toBe(0);
    const ms = expect.any(Number);
    expect(JSON.parse(stdout)).toMatchObject({ turns: 6, plain_ms: ms, watched_ms: ms, apart_ms: ms });
  });
});

describe.skipIf(lacks("deno") || lacks("vulkan"))("bench on a GPU in software, in Deno", () => {
  const onGpu = (...args: string[]) => denoRuntime().capstan("bench", "--device", "webgpu", ...args);

  it("measures the dtypes that are named", async () => {
    const result = JSON.parse(await onGpu("--shape", "tiny", "--dtype", "q4,f16", "--rounds", "1", "--json"));
    expect(result).toMatchObject({ shape: "tiny", work: { rounds: 1 }, adapter: { software: true } });
    const figures = { per_token: { submits: 1, readbacks: 1 }, weight_bytes: expect.any(Number) };
    expect(result.dtypes).toMatchObject([
      { dtype: "q4", ...figures },
      { dtype: "f16", ...figures },
    ]);
    expect(result.dtypes[0].weight_bytes).toBeLessThan(result.dtypes[1].weight_bytes / 2);
  });

  it("refuses a dtype and a shape that it does not have", async () => {
    await expect(onGpu("--dtype", "q5")).rejects.toThrow(/need dtype f32 or f16 or q8 or q4, found "q5"/);
    await expect(onGpu("--shape", "134M")).rejects.toThrow(/need shape tiny or 0.6B, found "134M"/);
  });
});
