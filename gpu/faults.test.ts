import { beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../testing/parts.ts";
import type { faults } from "../testing/runtimes/faults.ts";
import { denoRuntime } from "../testing/runtimes/runtimes.ts";

describe.skipIf(lacks("vulkan") || lacks("deno"))("on WebGPU", () => {
  let found: Awaited<ReturnType<typeof faults>>;
  beforeAll(async () => {
    await using deno = denoRuntime();
    found = await deno.run("faults", { source: "conformance/reference/llama-gqa-untied" });
  }, 300_000);

  it("a lost device ends every reply with one error, and every call after it", () => {
    const { errors, later } = found.loss;
    for (const error of [...errors, ...later]) {
      expect(error).toMatch(
        /^device_lost: run on the GPU: need a living device, found .*Load the model again/,
      );
    }
    expect([errors.length, later.length]).toEqual([2, 2]);
  });

  it("a reply goes on from its tokens on a model that is loaded again", () => {
    const { resumed, uninterrupted, buffers } = found.loss;
    expect(resumed).toEqual(uninterrupted);
    expect(resumed.length).toBe(12);
    expect(buffers).toBe(0);
  });

  it("more cache than the adapter holds: says what would fit, and the model works on", () => {
    expect(found.memory.error).toMatch(
      /^out_of_memory: allocate KV blocks: need .* MiB of GPU memory, found an adapter that holds \d+ blocks/,
    );
    expect(found.memory.works_on).toBe(true);
  });

  it("a cache that cannot grow: the replies share what there is, and are what each is alone", () => {
    const { alone, together, failed, capacity, left } = found.growth;
    expect(together).toEqual(alone);
    expect(failed).toBeGreaterThan(0);
    expect(capacity).toBe(24);
    expect(left).toBe(0);
  });

  it("weights beyond the adapter: says what they would take in each dtype, and leaves nothing behind", () => {
    expect(found.weights).toMatch(
      /^out_of_memory: load weights: .*by dtype: f32 [\d.]+ MiB, f16 .*q4 [\d.]+ MiB\. \(0 buffers left\)$/,
    );
  });

  it("a kernel that does not compile: names op, variant and line, and leaves nothing behind", () => {
    expect(found.shader).toMatch(/^internal: compile attention \{.*"D_HEAD":8.*broken.* at line \d+/);
    expect(found.shader).toMatch(/\(0 buffers left\)$/);
  });

  it("a number that no record holds: the step is refused before anything changes", () => {
    const { error, token, expected, counted } = found.refused;
    expect(error).toMatch(
      /^bad_request: pack a record for the GPU: need top_p as .*float32 holds, found NaN/,
    );
    expect(token).toBe(expected);
    expect(counted).toBe(2);
  });

  it("no adapter, or one that gives no device: refused, and says what runs instead", () => {
    expect(found.no_adapter).toMatch(/^unsupported: .*need an adapter, found none\..*device wasm runs/);
    expect(found.no_device).toMatch(/^unsupported: .*it is busy/);
  });

  it.each(["default limits, no features", "bindings of 48 KiB"])("holds the contract with %s", (name) => {
    const claims = Object.entries(found.smaller[name] ?? {});
    expect(claims.length).toBeGreaterThan(10);
    expect(claims.filter(([, error]) => error !== null)).toEqual([]);
  });
});
