import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runConformance as run } from "../../testing/run_conformance.ts";
import { diffRuns } from "./diff.ts";
import type { ReadCase } from "./read.ts";

const reference = join(import.meta.dirname, "..", "reference");
let folder: string;
let before: { cases: ReadCase[] };

/** A file with what the cases became. */
function file(name: string, edit: (cases: ReadCase[]) => ReadCase[]): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify({ cases: edit(structuredClone(before.cases)) }));
  return path;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "capstan-diff-"));
  const cases = ["llama-tied", "qwen3-tied"].map((name) => join(reference, name));
  const { stdout } = await run(...cases, "--device", "wasm", "--json");
  before = JSON.parse(stdout);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("capstan conformance diff", () => {
  it("a run is no worse than itself", async () => {
    const same = file("same.json", (cases) => cases);
    const { stdout, code } = await run("diff", same, same);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^A: WASM.*\nB: WASM.*\n\d+ sites of 2 cases compared: B is no worse than A\n$/);
  });

  it("names the site that errs by more than the factor, and exits 3", async () => {
    const a = file("a.json", (cases) => cases);
    const b = file("b.json", (cases) => {
      cases[1]!.runs[0]!.sites[1]!.worst_relative_error *= 5;
      return cases;
    });
    const { stdout, code } = await run("diff", a, b, "--json");
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      worse: true,
      worse_sites: [{ case: "qwen3-tied", run: "plain", pass: "prefill", site: "blocks.1.hook_resid_post" }],
      better_sites: [],
    });
    expect((await run("diff", a, b, "--factor", "8")).code).toBe(0);
    const back = await run("diff", b, a);
    expect(back.code).toBe(0);
    expect(back.stdout).toContain("1 errors smaller in B by more than 2x:");
  });

  it("names cases that pass no more, and cases that one of them lacks", async () => {
    const a = file("a.json", (cases) => cases);
    const b = file("b.json", ([first]) => [
      { ...first!, passed: false },
      { ...first!, case: "new" },
    ]);
    const { stdout, code } = await run("diff", a, b);
    expect(code).toBe(3);
    expect(stdout).toContain("passes in A, fails in B: llama-tied\nonly in A: qwen3-tied\nonly in B: new\n");
    expect((await run("diff", b, a)).stdout).toContain("fails in A, passes in B: llama-tied");
  });

  it.each([
    ["no file", null, 1, /nowhere\.json/],
    ["no JSON", "{", 1, /need JSON/],
    ["another object", "{}", 1, /the file\.cases as a list/],
    [
      "an error that is text",
      '{"cases":[{"device":{"kind":"x"},"case":"c"}]}',
      1,
      /cases\[0\]\.architecture/,
    ],
  ])("%s is one clear error", async (_, text, exit, message) => {
    const good = file("a.json", (cases) => cases);
    const path = join(folder, text === null ? "nowhere.json" : "bad.json");
    if (text !== null) writeFileSync(path, text);
    const { stderr, code } = await run("diff", good, path);
    expect(code).toBe(exit);
    expect(stderr).toMatch(message);
  });
});

it("errors below rounding are the same; not finite is worse than any", () => {
  const one = (worst_relative_error: number): ReadCase => ({
    case: "c",
    architecture: "llama",
    passed: true,
    device: { kind: "wasm", description: "WASM" },
    runtime: "node 20",
    dtype: "auto",
    runs: [
      {
        name: "plain",
        pass: "prefill",
        passed: true,
        sites: [{ site: "logits", worst_relative_error, bound: 1e-5 }],
      },
    ],
    quantisation: null,
  });
  const worse = (a: number, b: number) => diffRuns([one(a)], [one(b)], 2).worse;
  expect(worse(0, 5e-8)).toBe(false);
  expect(worse(0, 5e-7)).toBe(true);
  expect(worse(1e-6, Number.POSITIVE_INFINITY)).toBe(true);
  expect(worse(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)).toBe(false);
  expect(worse(Number.POSITIVE_INFINITY, 1e-6)).toBe(false);
});
