import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  decodeSafetensors,
  encodeSafetensors,
  type TensorData,
} from "../../sdk/checkpoint/safetensors/index.ts";
import { memorySource } from "../../sdk/checkpoint/source/index.ts";
import { reference } from "../../testing/cases.ts";
import { faultyTruth } from "../../testing/faulty.ts";
import { runConformance as run } from "../../testing/run_conformance.ts";
import { type CaseDistance, measureCase, summarise } from "./index.ts";

/** The truth with every value it gives times 1 + `share`. */
const scaledTruth = (share: number) =>
  faultyTruth({
    result(result) {
      for (const values of [...result.captures, result.logits ?? new Float32Array()]) {
        for (const i of values.keys()) values[i]! *= 1 + share;
      }
    },
  });

/** llama-tied, with every value that transformers stored times 1 + `share`. */
function scaledReference(share: number) {
  const folder = join(reference, "llama-tied");
  const read = (file: string) => readFileSync(join(folder, file));
  const { runs } = JSON.parse(read("case.json").toString());
  const scaled = (file: string) => {
    const out: Record<string, TensorData> = {};
    for (const [name, tensor] of decodeSafetensors(read(file)).tensors) {
      if (name === "tokens") out[name] = { dtype: "I64", shape: tensor.shape, data: tensor.data };
      else {
        const of_reference = name === "logits" || name.startsWith("blocks.");
        const data = tensor.float32().map((value) => value * (of_reference ? 1 + share : 1));
        out[name] = { dtype: "F32", shape: tensor.shape, data };
      }
    }
    return encodeSafetensors(out);
  };
  return memorySource({
    ...Object.fromEntries(
      ["case.json", "config.json", "model.safetensors"].map((file) => [file, read(file)]),
    ),
    ...Object.fromEntries(runs.map((one: { reference: string }) => [one.reference, scaled(one.reference)])),
  });
}

describe("a case", () => {
  it.each([
    [3e-3, 2e-3],
    [-1e-3, 4e-3],
  ])("errs by %d of every value where transformers errs by %d", async (ours, theirs) => {
    const { distance, device } = await measureCase(scaledReference(theirs), { device: scaledTruth(ours) });
    expect(device.kind).toBe("truth");
    // 1,000 times float32's own error, so that the two shares are all that is seen.
    const near = (value: number, share: number) =>
      expect(Math.abs(value / Math.abs(share) - 1)).toBeLessThan(2e-3);
    for (const one of [distance, ...distance.sites]) {
      near(one.device.mean, ours);
      near(one.device.worst, ours);
      near(one.transformers.mean, theirs);
      near(one.ratio.mean, ours / theirs);
      near(one.ratio.worst, ours / theirs);
    }
  });

  it("has every row of every site, run and pass, by kind of site", async () => {
    const { distance } = await measureCase(join(reference, "llama-tied"), { device: "truth" });
    expect(distance.device).toEqual({ mean: 0, worst: 0 });
    expect(distance.transformers.mean).toBeGreaterThan(1e-8);
    expect(distance.sites.map(({ site }) => site).toSorted()).toEqual([
      "hook_attn_out",
      "hook_mlp_out",
      "hook_resid_mid",
      "hook_resid_post",
      "hook_resid_pre",
      "logits",
    ]);
    expect(distance.sites.reduce((sum, { n_rows }) => sum + n_rows, 0)).toBe(distance.n_rows);
  });
});

describe("all cases together", () => {
  const one = (name: string, mean: number, worst: number): CaseDistance => {
    const device = { mean, worst };
    const transformers = { mean: 1, worst: 1 };
    return { case: name, architecture: "llama", n_rows: 1, device, transformers, ratio: device, sites: [] };
  };

  it("are their mean and the worst of them, held to the aim", () => {
    const summary = summarise([one("a", 0.5, 3), one("b", 1.25, 1), one("c", 0.5, 2)]);
    expect(summary).toMatchObject({
      n_cases: 3,
      ratio: { mean: 0.75, worst: 1.25, worst_case: "b" },
      worst_row_ratio: { mean: 2, worst: 3, worst_case: "a" },
      reached: true,
    });
    expect(summarise([one("a", 0.5, 1), one("b", 1.6, 1)])).toMatchObject({ reached: false });
    expect(summarise([one("a", 1.01, 1)])).toMatchObject({ reached: false });
    expect(() => summarise([])).toThrow(RangeError);
  });
});

it("sums of the WASM engine are nearer to float64 than transformers' are", async () => {
  const cases = [];
  // Of different sizes and norms, with and without gates, biases, windows and experts.
  for (const name of [
    "llama-biases",
    "gemma3-4x",
    "gpt2",
    "starcoder2",
    "mixtral",
    "phi3-window",
    "cohere",
  ]) {
    cases.push((await measureCase(join(reference, name), { device: "wasm" })).distance);
  }
  const summary = summarise(cases);
  expect(summary.reached).toBe(true);
  // With one chain for each sum it was 0.99.
  expect(summary.ratio.mean, JSON.stringify(summary)).toBeLessThan(0.9);
  expect(summary.worst_row_ratio.worst, JSON.stringify(summary)).toBeLessThan(1.5);
});

describe("capstan conformance distance", () => {
  const folders = ["llama-tied", "gpt2", "qwen3-moe-raw"].map((name) => join(reference, name));

  it("prints a line a case and what they come to", async () => {
    const { stdout, code } = await run(
      "distance",
      join(reference, "README.md"),
      ...folders,
      "--device",
      "wasm",
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^WASM SIMD, 1 thread, in node /);
    expect(stdout).toMatch(/^gpt2 +\d+( +\d\.\d\de-\d){4}( +\d\.\d\d){2}$/m);
    expect(stdout).toMatch(/^mean row, over transformers': \d\.\d\d in the mean over 3 cases/m);
    expect(stdout).toMatch(/: reached$/m);
  });

  it("--json prints one object", async () => {
    const { stdout } = await run("distance", ...folders, "--device", "truth", "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      device: { kind: "truth" },
      n_cases: 3,
      ratio: { mean: 0, worst: 0 },
      aim: { mean: 1, worst: 1.5 },
      reached: true,
      cases: [{ case: "llama-tied", device: { mean: 0 } }, { case: "gpt2" }, { case: "qwen3-moe-raw" }],
    });
  });

  it("exits 2 on files alone", async () => {
    const { stderr, code } = await run("distance", join(reference, "README.md"));
    expect(code).toBe(2);
    expect(stderr).toContain("found files only");
  });
});
