import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { Op, Program } from "../../models/index.ts";
import { CASES, reference } from "../../testing/cases.ts";
import { type Fault, faultyTruth } from "../../testing/faulty.ts";
import { DEVICES } from "../devices.ts";
import { checkCase } from "./index.ts";

const folder = (name: string) => join(reference, name);
const DTYPES = ["q8", "q4"] as const;

/** Each value of captures and logits off by up to this share. */
const noisy = (noise: number): Fault => ({
  result(result) {
    for (const values of [...result.captures, result.logits ?? new Float32Array()]) {
      for (const i of values.keys()) values[i]! *= 1 + noise * Math.sin(7 * i);
    }
  },
});

describe.each(Object.entries(DEVICES))("%s", async (kind, create) => {
  // The truth is what judges: of it, a sample shows that all comes through.
  const held = kind === "truth" ? CASES.filter((_, i) => i % 5 === 0) : CASES;
  const device = await create();
  const dtypes = DTYPES.filter((dtype) => device.dtypes.includes(dtype));
  await device.dispose();

  let n_certain = 0;
  afterAll(() => {
    if (dtypes.length > 0) expect(n_certain).toBeGreaterThan(held.length);
  });

  it.each(dtypes.flatMap((dtype) => held.map((name) => [dtype, name] as const)))(
    "%s, %s: computes with the quantised weights",
    async (dtype, name) => {
      const report = await checkCase(folder(name), { device: create, dtype });
      expect(report.passed, JSON.stringify(report.worst)).toBe(true);
      expect(report).toMatchObject({
        dtype,
        quantisation: { compared_with: { q8: 3e-2, q4: 1.5e-1 }[dtype] },
      });
      // Where activations are rounded, margins of tiny random models may all be within the bound.
      for (const run of [...report.runs, ...report.generated]) n_certain += run.greedy.certain;
    },
  );

  it.each(DTYPES.filter((dtype) => !dtypes.includes(dtype)))("refuses %s by name", async (dtype) => {
    const promise = checkCase(folder("llama-tied"), { device: create, dtype });
    await expect(promise).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining(dtype),
    });
  });
});

describe("what quantising costs", () => {
  it("is reported of the worst row of all runs, and is no part of the verdict", async () => {
    const report = await checkCase(folder("qwen3-moe-mixed"), { device: "truth", dtype: "q8" });
    // Another expert is routed to: far more than DESIGN names for q8.
    expect(report.quantisation!.worst.relative_error).toBeGreaterThan(0.3);
    expect(report.passed).toBe(true);
    expect(report.worst.relative_error).toBeLessThan(1e-6);
  });

  it("is more with fewer bits, and nothing where there is no quantising", async () => {
    const loss = async (dtype: "auto" | "q8" | "q4") =>
      (await checkCase(folder("gpt2"), { device: "truth", dtype })).quantisation?.worst.relative_error;
    const [q8, q4] = [(await loss("q8"))!, (await loss("q4"))!];
    expect(q8).toBeGreaterThan(1e-3);
    expect(q4).toBeGreaterThan(3 * q8);
    expect(await loss("auto")).toBeUndefined();
  });
});

describe("the check falls short", () => {
  const check = (fault: Fault, dtype: "q8" | "q4" = "q8") =>
    checkCase(folder("llama-tied"), { device: faultyTruth(fault), dtype });

  it.each([
    // The embedding is quantised, too; in q4 as it is in q8.
    ["that keeps the weights as they are", "auto", "blocks.0.hook_resid_pre"],
    ["that keeps fewer bits", "q4", "blocks.0.hook_attn_out"],
  ] as const)("of a device %s, and names the first site", async (_, dtype, site) => {
    const report = await check({ load: (asked) => ({ ...asked, dtype }) });
    expect(report.runs.map(({ passed }) => passed)).toEqual(report.runs.map(() => false));
    expect(report.divergence).toMatchObject({ first: { site } });
  });

  it("of one wrong op, which it names although quantising alone moves the reference's rows further", async () => {
    const program = (of: Program): Program => {
      const last = of.ops.findLastIndex((op) => op.op === "norm");
      const ops = of.ops.map((op, i): Op => (i === last && op.op === "norm" ? { ...op, eps: 1e-3 } : op));
      return { ...of, ops };
    };
    const { passed, divergence, worst, quantisation } = await check({ program }, "q4");
    expect(passed).toBe(false);
    expect(worst.relative_error).toBeLessThan(quantisation!.worst.relative_error);
    expect(divergence).toMatchObject({ run: "plain", pass: "prefill", first: { site: "logits" } });
    const { first } = divergence as { first: { ops: string[] } };
    expect(first.ops).toContainEqual(expect.stringMatching(/^norm \(model\.norm/));
  });

  it.each([
    // Kinds that multiply in f32 may be off as f32 is; one that rounds activations, as DESIGN has it.
    ["webgpu", "q8", 1e-3, false],
    ["truth", "q4", 1e-3, false],
    ["wasm", "q8", 1e-3, true],
    ["wasm", "q8", 1e-2, false],
    ["wasm", "q4", 1e-3, true],
    ["wasm", "q4", 1e-2, false],
  ] as const)("of rounding on %s in %s by %d: %s", async (kind, dtype, noise, passed) => {
    expect((await check({ kind, ...noisy(noise) }, dtype)).passed).toBe(passed);
  });

  it("of wrong tokens alone, and says that nothing else differs", async () => {
    const report = await check({
      result: (result) => {
        if (result.token >= 0) result.token ^= 1;
      },
    });
    expect(report.passed).toBe(false);
    expect(report.runs.every(({ passed }) => passed)).toBe(true);
    expect(report.generated[0]!.greedy.wrong).not.toBeNull();
    expect(report.divergence).toMatchObject({ pass: "stepwise", first: null });
  });
});
