import { describe, expect, test } from "vitest";
import { CALLS_FROM, inputOf, nameOf, runInput, TARGETS } from "./targets.ts";

/** Seeds beyond the first ones that are always run: put one here that failed, before repairing what it found. */
const KEPT: readonly number[] = [10612, 11359, 12441, 24126, 101_111, 204_036];
/** `npm run fuzz` runs as many more as one likes. */
const COUNT = 2500;
const CALLS = 1000;
const CHUNK = 100;

describe("damaged and hostile files end in one clear error", () => {
  test.each(KEPT)("input %i", async (seed) => await runInput(seed));

  test.each(Array.from({ length: COUNT / CHUNK }, (_, i) => i * CHUNK))("from input %i on", async (first) => {
    for (let seed = first; seed < first + CHUNK; seed++) {
      await runInput(seed).catch((cause: unknown) => {
        throw new Error(`input ${seed} (${nameOf(seed)}) failed`, { cause });
      });
    }
  });

  test.each(Array.from({ length: CALLS / CHUNK }, (_, i) => CALLS_FROM + i * CHUNK))(
    "calls with random options, from input %i on",
    async (first) => {
      for (let seed = first; seed < first + CHUNK; seed++) {
        await runInput(seed).catch((cause: unknown) => {
          throw new Error(`input ${seed} failed`, { cause });
        });
      }
    },
  );

  test("every kind of file has its turn, and an input is the same each time", () => {
    const names = new Set(Array.from({ length: 200 }, (_, seed) => inputOf(seed).target.name));
    expect([...names].sort()).toEqual(TARGETS.map(({ name }) => name).sort());
    expect(inputOf(17).files).toEqual(inputOf(17).files);
  });
});
