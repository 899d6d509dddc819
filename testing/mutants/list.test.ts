import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { MUTANTS } from "./list/index.ts";
import { type Mutant, problemsOf, sampleOf } from "./mutants.ts";
import { root } from "./tree.ts";

/** A file with a cheap test, to make faults of. */
const FILE = "sdk/science/progress.ts";
const TESTS = ["sdk/science/progress.test.ts"];
const fault = (name: string, find: string, replace: string): Mutant => ({
  name,
  file: FILE,
  find,
  replace,
  tests: TESTS,
});

describe("the list of mutants", () => {
  it("fits the sources: each text stands once in its file, each test is there", () => {
    expect(problemsOf(MUTANTS)).toEqual([]);
  });

  it("has many, of every folder", () => {
    expect(MUTANTS.length).toBeGreaterThan(120);
    const subfolders = (folder: string) =>
      readdirSync(join(root, folder), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => `${folder}/${name}/`);
    const science = subfolders("sdk/science").filter((name) => !/schemas/.test(name));
    const folders = ["models/", "core-wasm/", "gpu/", "bench/", "conformance/", "testing/"];
    const all = [
      ...folders,
      ...subfolders("sdk"),
      ...science,
      "sdk/inference/scheduler/",
      "core-wasm/engine/src/",
      ...subfolders("gpu/ops"),
    ];
    const without = all.filter((folder) => !MUTANTS.some(({ file }) => file.startsWith(folder)));
    expect(without).toEqual([]);
  });

  it("names what no longer fits", () => {
    const [fits] = [fault("a", "const fresh", "const fresh_")];
    const wrong = [
      fits!,
      fault("a", "this text stands nowhere", ""),
      fault("b", "this", "that"),
      fault("c", "const fresh", "const fresh"),
      { ...fits!, name: "d", tests: ["sdk/science/no.test.ts"] },
      { ...fits!, name: "e", tests: [] },
      { ...fits!, name: "f", file: "sdk/science/no.ts" },
    ];
    expect(problemsOf(wrong)).toEqual([
      "a: the name is taken",
      `a: ${FILE} holds "this text stands nowhere" 0 times, not once`,
      expect.stringMatching(/^b: .* holds "this" \d\d times, not once$/),
      "c: changes nothing",
      "d: there is no sdk/science/no.test.ts",
      "e: names no test",
      'f: sdk/science/no.ts holds "const fresh" 0 times, not once',
    ]);
  });

  it("is sampled by a seed", () => {
    const [first, again, other] = [7, 7, 8].map((seed) => sampleOf(MUTANTS, 9, seed).map(({ name }) => name));
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    expect(new Set(first).size).toBe(9);
    expect(sampleOf(MUTANTS, 1e9, 1)).toEqual(MUTANTS);
  });
});
