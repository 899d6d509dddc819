import { describe, expect, it } from "vitest";
import { MUTANTS } from "./list/index.ts";
import { type Mutant, runMutants, sampleOf } from "./mutants.ts";

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

describe("running mutants", () => {
  /** Files whose tests take a second. */
  const CHEAP = ["gpu/random", "sdk/science/plots/", "bench/"];
  const CHEAP_TESTS = ["gpu/random.test.ts", "sdk/science/plots/spec.test.ts", "bench/clock.test.ts"];

  it("kills a sample of the list, and names a fault that no test sees and one that makes no program", {
    timeout: 300_000,
  }, async () => {
    const sample = CHEAP.map((start) => {
      const own = MUTANTS.filter(
        ({ name, tests }) => name.startsWith(start) && CHEAP_TESTS.includes(tests.join()),
      );
      return sampleOf(own, 1, 3)[0]!;
    });
    const unseen = fault("a comment", "/** Counts items", "/** Counts items,");
    const no_program = fault("no program", "const fresh =", "const fresh ==");
    const results = await runMutants([...sample, unseen, no_program]);
    expect(results.map(({ name, outcome }) => [name, outcome])).toEqual([
      ...sample.map(({ name }) => [name, "killed"]),
      ["a comment", "survived"],
      ["no program", "broken"],
    ]);
    for (const { outcome, by } of results) expect(by === "").toBe(outcome === "survived");
  });
});
