import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildProgram, keptDtypes } from "../../models/index.ts";
import { TINIES } from "../contract/tiny.ts";
import { quantiseRows } from "./quantise.ts";

function quantised(values: number[], cols: number, dtype: "q8" | "q4"): number[] {
  const row = Float32Array.from(values);
  quantiseRows(row, cols, dtype);
  return [...row];
}

describe("a block", () => {
  it("is steps of its largest value's share, to the nearest, even on a tie", () => {
    expect(quantised([127, 0.5, -1.5, 64.4], 4, "q8")).toEqual([127, 0, -2, 64]);
    expect(quantised([10, -5, 0.5, 1.5, 2.5, -2.5, 0.51, 3], 8, "q4")).toEqual([10, -5, 1, 1, 3, -3, 1, 3]);
    expect(quantised(new Array<number>(32).fill(0.375), 32, "q4")).toEqual(new Array<number>(32).fill(0.375));
  });

  it("ends after 32 values, and with its row", () => {
    const small = [0.25, 0.5, 0.75];
    const near = small.map((x) => expect.closeTo(x, 2));
    for (const [dtype, large] of [
      ["q8", 127],
      ["q4", 60],
    ] as const) {
      const row = [...new Array<number>(32).fill(large), ...small];
      expect(quantised([...row, ...row], 35, dtype).slice(32)).toEqual([
        ...near,
        ...row.slice(0, 32),
        ...near,
      ]);
      // One row that does not end there: the small values are rounded away.
      expect(quantised([700, ...small], 4, dtype)).toEqual([expect.closeTo(700, 0), 0, 0, 0]);
    }
    // Behind the row's end come zeros.
    expect(quantised([15, 15], 2, "q4")).toEqual([15, 15]);
    expect(quantised([15, 1], 2, "q4")).toEqual([15, 1]);
  });

  it("has a scale that float16 holds 256 times as large", () => {
    // 256 / 15 is between 17.0625 and 17.078125.
    expect(quantised([1], 1, "q4")).toEqual([(15 * 17.0625) / 256]);
    expect(quantised([1e-8, -1e-9], 2, "q8")).toEqual([0, 0]);
    expect(quantised([1e6], 1, "q8")).toEqual([(127 * 65504) / 256]);
    expect(quantised([1e6], 1, "q4")).toEqual([(15 * 65504) / 256]);
    // An offset is rounded: 0.3 * 256 = 76.8 is 76.8125, and the steps begin there.
    expect(quantised(new Array<number>(32).fill(0.3), 32, "q4")[0]).toBe(76.8125 / 256);
  });

  it("is at most half a step off, and in q8 the same once more", () => {
    const values = fc.array(fc.float({ min: -4, max: 4, noNaN: true }), { minLength: 1, maxLength: 70 });
    fc.assert(
      fc.property(values, fc.constantFrom("q8", "q4"), (row, dtype) => {
        const once = quantised(row, row.length, dtype);
        if (dtype === "q8") expect(quantised(once, row.length, dtype)).toEqual(once);
        for (let start = 0; start < row.length; start += 32) {
          const block = row.slice(start, start + 32);
          const size = Math.max(...block.map(Math.abs));
          const range = Math.max(0, ...block) - Math.min(0, ...block);
          const half = (dtype === "q8" ? size / 127 : range / 15) * 0.5;
          // Scale and offset are rounded to 11 bits; below 2^-22 there are none.
          const tolerance = half + (size + range) * 2 ** -11 + 127 * 2 ** -22;
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
])(
  "%s stays as it is; embeddings and the output are q8; every other matrix is as asked",
  (_, name, exact) => {
    const program = buildProgram(TINIES.find((tiny) => tiny.name === name)!.decoder);
    const kept = keptDtypes(program);
    for (const [id, { kind, parts }] of program.weights.entries()) {
      if (kind === "vector") continue;
      const [first] = parts;
      const stays = parts.some((part) => exact.test(part.name));
      const is_table = /embed_tokens|wte|lm_head/.test(first!.name);
      expect([first!.name, kept(id, "q8")]).toEqual([first!.name, stays ? "f32" : "q8"]);
      expect([first!.name, kept(id, "q4")]).toEqual([first!.name, stays ? "f32" : is_table ? "q8" : "q4"]);
      expect(kept(id, "f16")).toBe("f16");
    }
  },
);
