import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Device, SITE_KINDS } from "../../models/index.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  type TensorData,
} from "../../sdk/checkpoint/safetensors/index.ts";
import { memorySource } from "../../sdk/checkpoint/source/index.ts";
import { CASES, reference } from "../../testing/cases.ts";
import { faultyTruth } from "../../testing/faulty.ts";
import { DEVICES } from "../devices.ts";
import { checkCase } from "./index.ts";

/** The files of a case, some of them changed. */
function filesOf(name: string, changes: Record<string, Uint8Array | string | null> = {}) {
  const files: Record<string, Uint8Array | string> = {};
  for (const file of readdirSync(join(reference, name)))
    files[file] = readFileSync(join(reference, name, file));
  for (const [file, data] of Object.entries(changes)) {
    if (data === null) delete files[file];
    else files[file] = data;
  }
  return files;
}

/** A safetensors file of a case with one tensor's values changed. */
function edited(
  name: string,
  file: string,
  tensor: string,
  edit: (values: Float32Array) => void,
): Uint8Array {
  const { tensors, metadata } = decodeSafetensors(readFileSync(join(reference, name, file)));
  const all: Record<string, TensorData> = {};
  for (const [key, { dtype, shape, data, float32 }] of tensors) {
    all[key] = { dtype, shape, data };
    if (key !== tensor) continue;
    const values = float32();
    edit(values);
    all[key] = { dtype: "F32", shape, data: values };
  }
  return encodeSafetensors(all, metadata);
}

/** case.json of a case, changed. */
function editedCase(name: string, edit: (value: { runs: Record<string, unknown>[] }) => void): string {
  const value = JSON.parse(readFileSync(join(reference, name, "case.json"), "utf8"));
  edit(value);
  return JSON.stringify(value);
}

const SMALL = "llama-tied";
const check = (
  changes: Record<string, Uint8Array | string | null>,
  device: "truth" | (() => Promise<Device>) = "truth",
) => checkCase(memorySource(filesOf(SMALL, changes)), { device });

it("there are cases to be held to", () => {
  expect(CASES.length).toBeGreaterThanOrEqual(8);
});

describe.each(Object.entries(DEVICES))("%s", (kind, device) => {
  it.each(CASES)("%s: within the bounds by far", async (name) => {
    const report = await checkCase(join(reference, name), { device });
    expect(report.device.kind).toBe(kind);
    expect(report.passed, JSON.stringify(report.worst)).toBe(true);
    // The reference is float32 and may itself be half a bound away (its README).
    expect(report.worst.relative_error / report.worst.bound).toBeLessThan(0.6);
    for (const run of report.runs) expect(run.greedy.certain).toBeGreaterThan(0);
    for (const run of report.generated) expect(run.greedy.certain).toBeGreaterThan(0);
  });
});

describe("a report", () => {
  it("has two passes a run, every layer and the logits in each", async () => {
    const report = await checkCase(join(reference, SMALL), { device: "truth" });
    expect(report).toMatchObject({ case: SMALL, dtype: "auto", device: { kind: "truth" } });
    expect(report.runs.map(({ name, pass }) => `${name} ${pass}`)).toEqual([
      "plain prefill",
      "plain stepwise",
      "floor prefill",
      "floor stepwise",
      "sites prefill",
      "sites stepwise",
    ]);
    const { num_hidden_layers: layers } = JSON.parse(
      readFileSync(join(reference, SMALL, "config.json"), "utf8"),
    );
    for (const { name, sites } of report.runs) {
      const kinds = name === "sites" ? SITE_KINDS : (["hook_resid_post"] as const);
      expect(sites.map(({ site }) => site)).toEqual([
        ...Array.from({ length: layers }, (_, i) => kinds.map((kind) => `blocks.${i}.${kind}`)).flat(),
        "logits",
      ]);
    }
  });

  it("says which passes the reference cannot judge", async () => {
    const report = await checkCase(join(reference, "llama-gqa-untied"), { device: "truth" });
    expect(report.skipped.map(({ name, pass }) => `${name} ${pass}`)).toEqual([
      "last-cap prefill",
      "last-add prefill",
      "last-mixed prefill",
    ]);
  });
});

describe("the check falls short", () => {
  it("of one changed weight, and names the layer", async () => {
    const name = "model.layers.1.mlp.down_proj.weight";
    const model = edited(SMALL, "model.safetensors", name, (values) => {
      values[7]! += 0.02;
    });
    const report = await check({ "model.safetensors": model });
    expect(report.passed).toBe(false);
    const [first, second] = report.runs[0]!.sites;
    expect(first!.worst_relative_error).toBeLessThan(first!.bound);
    expect(second!.worst_relative_error).toBeGreaterThan(second!.bound);
  });

  it("of a reference shifted by one cell, and names the cell", async () => {
    const plain = edited(SMALL, "plain.safetensors", "blocks.1.hook_resid_post", (values) => {
      const width = values.length / readTokens(SMALL);
      values[5 * width + 3]! += 0.1;
    });
    const { passed, worst } = await check({ "plain.safetensors": plain });
    expect(passed).toBe(false);
    expect(worst).toMatchObject({ name: "plain", site: "blocks.1.hook_resid_post", token: 5, element: 3 });
    expect(worst.expected - worst.got).toBeCloseTo(0.1, 4);
  });

  it("of any other site that the reference has", async () => {
    for (const kind of SITE_KINDS) {
      const site = `blocks.1.${kind}`;
      const sites = edited(SMALL, "sites.safetensors", site, (values) => {
        values[2]! += 0.1;
      });
      const { runs, worst } = await check({ "sites.safetensors": sites });
      expect(runs.filter(({ passed }) => !passed).map(({ name }) => name)).toEqual(["sites", "sites"]);
      expect(worst).toMatchObject({ name: "sites", site, token: 0, element: 2 });
    }
  });

  it("of a hook's vector turned a little", async () => {
    const floor = edited(SMALL, "floor.safetensors", "vectors.0", (values) => {
      values[0]! += 0.01 * Math.hypot(...values);
    });
    const { runs } = await check({ "floor.safetensors": floor });
    expect(runs.filter(({ passed }) => passed).map(({ name }) => name)).toEqual([
      ...["plain", "plain", "sites", "sites"],
    ]);
  });

  it("of another bound of a cap", async () => {
    const json = editedCase(SMALL, ({ runs }) => {
      (runs[1]!.hooks as { floor: number }[])[0]!.floor += 0.01;
    });
    const { runs } = await check({ "case.json": json });
    expect(runs.map(({ passed }) => passed)).toEqual([true, true, false, false, true, true]);
  });

  it("of a device that does not run hooks", async () => {
    const deaf = faultyTruth({ entry: (entry) => ({ ...entry, hooks: 0 }) });
    const { runs } = await check({}, deaf);
    expect(runs.map(({ passed }) => passed)).toEqual([true, true, false, false, true, true]);
  });

  it("of a device that errs in decode only", async () => {
    const late = faultyTruth({
      entry: (entry) => (entry.tokens.length === 1 ? { ...entry, hooks: 0 } : entry),
    });
    const { runs } = await check({}, late);
    expect(runs.map(({ passed }) => passed)).toEqual([true, true, true, false, true, true]);
  });

  it("of NaN that a device gives back", async () => {
    const nan = faultyTruth({ result: ({ logits }) => logits?.fill(Number.NaN, 3, 4) });
    const report = await check({}, nan);
    expect(report.passed).toBe(false);
    expect(report.worst).toMatchObject({
      site: "logits",
      element: 3,
      relative_error: Number.POSITIVE_INFINITY,
    });
  });

  it("of wrong tokens alone", async () => {
    const tokens = faultyTruth({
      result: (result) => {
        if (result.token >= 0) result.token ^= 1;
      },
    });
    const report = await check({}, tokens);
    expect(report.passed).toBe(false);
    expect(report.runs.every(({ passed }) => passed)).toBe(true);
    expect(report.generated[0]!.greedy.wrong).not.toBeNull();
  });

  it("of a continuation that the reference did not choose", async () => {
    const { tensors, metadata } = decodeSafetensors(
      readFileSync(join(reference, SMALL, "plain.safetensors")),
    );
    const ids = new BigInt64Array(new Uint8Array(tensors.get("tokens")!.data).buffer);
    ids[ids.length - 1] = ids.at(-1)! ^ 1n;
    const all: Record<string, TensorData> = Object.fromEntries(tensors);
    all.tokens = { dtype: "I64", shape: [ids.length], data: ids };
    const { runs } = await check({ "plain.safetensors": encodeSafetensors(all, metadata) });
    expect(runs[0]!.greedy.wrong).toMatchObject({ token: ids.length - 1, expected: Number(ids.at(-1)) });
  });
});

describe("a case that cannot be read is one clear error", () => {
  const whole = readFileSync(join(reference, SMALL, "plain.safetensors"));
  const spoiled = edited(SMALL, "plain.safetensors", "logits", (values) => {
    values[2] = Number.NaN;
  });
  const hook = (change: Record<string, unknown>) =>
    editedCase(SMALL, ({ runs }) => {
      Object.assign((runs[1]!.hooks as object[])[0]!, change);
    });
  const run = (change: Record<string, unknown>) =>
    editedCase(SMALL, ({ runs }) => {
      Object.assign(runs[0]!, change);
    });
  it.each<[string, Record<string, Uint8Array | string | null>, string, RegExp]>([
    ["no case.json", { "case.json": null }, "not_found", /need case\.json/],
    ["case.json that is no JSON", { "case.json": "{" }, "bad_file", /case\.json/],
    ["no runs", { "case.json": '{"name":"x","runs":[]}' }, "bad_file", /runs/],
    ["n_prompt 0", { "case.json": run({ n_prompt: 0 }) }, "bad_file", /n_prompt/],
    ["n_prompt past the tokens", { "case.json": run({ n_prompt: 9999 }) }, "bad_file", /n_prompt \(9999\)/],
    ["a reference outside the folder", { "case.json": run({ reference: "../x" }) }, "bad_file", /reference/],
    [
      "an unknown kind of hook",
      { "case.json": hook({ kind: "melt" }) },
      "bad_file",
      /runs\[1\] hooks\[0\].*melt/,
    ],
    ["an unknown site", { "case.json": hook({ site: "blocks.0.hook_z" }) }, "bad_file", /hook_z/],
    [
      "a site past the last layer",
      { "case.json": hook({ site: "blocks.99.hook_resid_post" }) },
      "bad_hook",
      /99/,
    ],
    ["a vector that is not there", { "case.json": hook({ vector: "vectors.9" }) }, "bad_file", /vectors\.9/],
    ["no reference file", { "plain.safetensors": null }, "not_found", /plain\.safetensors/],
    [
      "a truncated reference",
      { "plain.safetensors": whole.subarray(0, whole.length - 40) },
      "bad_file",
      /plain/,
    ],
    ["an empty reference", { "plain.safetensors": new Uint8Array(0) }, "bad_file", /plain/],
    ["NaN in the reference", { "plain.safetensors": spoiled }, "bad_file", /logits.*NaN/],
    ["no config.json", { "config.json": null }, "not_found", /config\.json/],
    ["a truncated model", { "model.safetensors": whole.subarray(0, 500) }, "bad_file", /model\.safetensors/],
  ])("%s", async (_, changes, code, message) => {
    const error: unknown = await check(changes).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: "CapstanError", code, message: expect.stringMatching(message) });
  });

  it("stops when its signal aborts", async () => {
    const signal = AbortSignal.abort();
    const promise = checkCase(join(reference, SMALL), { device: "truth", signal });
    await expect(promise).rejects.toMatchObject({ code: "aborted" });
  });
});

function readTokens(name: string): number {
  const { tensors } = decodeSafetensors(readFileSync(join(reference, name, "plain.safetensors")));
  return tensors.get("tokens")!.shape[0]!;
}
