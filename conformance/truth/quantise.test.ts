import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildProgram, quantisedWeights } from "../../models/index.ts";
import { TINIES } from "../contract/tiny.ts";
import { quantiseRows } from "./quantise.ts";

function quantised(values: number[], cols: number, dtype: "q8" | "q4"): number[] {
  const row = Float32Array.from(values);
  quantiseRows(row, cols, dtype);
  return [...row];
}

describe("a block", () => {
  it("is steps of its largest value's share, to the nearest, even on a tie", () => {
    expect(quantised([7, -7, 0.5, 1.5, 2.5, -2.5, 0.51, 3], 8, "q4")).toEqual([7, -7, 0, 2, 2, -2, 1, 3]);
    expect(quantised([127, 0.5, -1.5, 64.4], 4, "q8")).toEqual([127, 0, -2, 64]);
  });

  it("ends after 32 values, and with its row", () => {
    const small = [0.25, 0.5, 0.75];
    const step = 0.75 / 7;
    const near = small.map((x) => expect.closeTo(x, 3 * step ** 2));
    const row = [...new Array<number>(32).fill(70), ...small];
    expect(quantised([...row, ...row], 35, "q4").slice(32)).toEqual([...near, ...row.slice(0, 32), ...near]);
    // One row that does not end there: the first of the small values is rounded away.
    expect(quantised([70, ...small], 4, "q4")).toEqual([70, 0, 0, 0]);
  });

  it("has a scale that float16 holds 256 times as large", () => {
    // 256 / 7 is between 36.5625 and 36.59375.
    expect(quantised([1], 1, "q4")).toEqual([(7 * 36.5625) / 256]);
    expect(quantised([1e-8, -1e-9], 2, "q8")).toEqual([0, 0]);
    expect(quantised([1e6], 1, "q8")).toEqual([(127 * 65504) / 256]);
  });

  it("is at most half a step off, and the same once more", () => {
    const values = fc.array(fc.float({ min: -4, max: 4, noNaN: true }), { minLength: 1, maxLength: 70 });
    fc.assert(
      fc.property(values, fc.constantFrom("q8", "q4"), (row, dtype) => {
        const once = quantised(row, row.length, dtype);
        expect(quantised(once, row.length, dtype)).toEqual(once);
        for (let start = 0; start < row.length; start += 32) {
          const largest = Math.max(...row.slice(start, start + 32).map(Math.abs));
          const half = (largest / (dtype === "q8" ? 127 : 7)) * 0.5;
          // The scale is rounded to 11 bits; below 2^-22 there is none.
          const tolerance = half + largest * 2 ** -11 + 127 * 2 ** -22;
          for (let i = start; i < Math.min(start + 32, row.length); i++) {
            expect(Math.abs(once[i]! - row[i]!)).toBeLessThanOrEqual(tolerance);
          }
        }
      }),
    );
  });
});

it.each([
  ["a router", "experts, f32", /\.gate\.weight$/],
  ["learned positions", "learned positions, transposed matrices, no rope, f32", /wpe/],
])("%s stays as it is, as vectors do; every other matrix is quantised", (_, name, kept) => {
  const program = buildProgram(TINIES.find((tiny) => tiny.name === name)!.decoder);
  const rounded = quantisedWeights(program);
  for (const [id, { kind, parts }] of program.weights.entries()) {
    const stays = kind === "vector" || parts.some((part) => kept.test(part.name));
    expect([parts[0]!.name, rounded.has(id)]).toEqual([parts[0]!.name, !stays]);
  }
});
