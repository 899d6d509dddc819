import { describe, expect, it } from "vitest";
import { specialise } from "./shader.ts";

function lines(source: string, constants: Parameters<typeof specialise>[1] = {}): string[] {
  return specialise(source, constants)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

describe("specialise", () => {
  it("declares constants by their type", () => {
    expect(lines("", { A: 3, B: { f32: 0.1 }, C: true, D: "q4" })).toEqual([
      "const A: u32 = 3u;",
      "const B: f32 = 0.10000000149011612;",
      "const C: bool = true;",
    ]);
  });

  it("keeps and drops lines, nested", () => {
    const source = `
//: if A
a
//: if KIND == x
ax
//: else
ay
//: end
//: else
//: if UNKNOWN_BUT_DROPPED
//: end
b
//: end
c`;
    const kept = (constants: Parameters<typeof specialise>[1]) =>
      lines(source, constants).filter((line) => !line.startsWith("const"));
    expect(kept({ A: true, KIND: "x" })).toEqual(["a", "ax", "c"]);
    expect(kept({ A: true, KIND: "y" })).toEqual(["a", "ay", "c"]);
    expect(kept({ A: false, UNKNOWN_BUT_DROPPED: false })).toEqual(["b", "c"]);
  });

  it("writes lines out, nested, and leaves longer names alone", () => {
    const source = "//: each r R\n//: each n 2\nsum_$r_$n += x[$n] * $rest;\n//: end\n//: end";
    expect(lines(source, { R: 2 }).slice(1)).toEqual([
      "sum_0_0 += x[0] * $rest;",
      "sum_0_1 += x[1] * $rest;",
      "sum_1_0 += x[0] * $rest;",
      "sum_1_1 += x[1] * $rest;",
    ]);
  });

  it("enables extensions first", () => {
    expect(lines("fn f() {}", { SUBGROUPS: true, F16: true }).slice(0, 2)).toEqual([
      "enable f16;",
      "enable subgroups;",
    ]);
  });

  it("refuses what no kernel can mean", () => {
    expect(() => specialise("//: include nothing_of_this_name", {})).toThrow("nothing_of_this_name");
    expect(() => specialise("//: if MISSING\n//: end", {})).toThrow("MISSING");
    expect(() => specialise("//: each i MISSING\n//: end", {})).toThrow("whole number");
    expect(() => specialise("//: if A\n", { A: true })).toThrow("no end");
    expect(() => specialise("//: end\n", {})).toThrow("without its beginning");
  });
});
