import { describe, expect, it } from "vitest";
import { passes, pickedOf, type TextCheck } from "./checks.ts";

const contains: TextCheck = { kind: "contains", value: "amber lynx 7" };
const exact: TextCheck = { kind: "contains", value: "Amber", case_sensitive: true };
const lacks: TextCheck = { kind: "not_contains", value: "code" };
const equals: TextCheck = { kind: "equals", value: "Yes." };
const equals_exactly: TextCheck = { kind: "equals", value: "Yes.", case_sensitive: true };
const regex: TextCheck = { kind: "regex", pattern: "^\\d{2,}\\s*(cm|mm)$" };
const lines: TextCheck = { kind: "regex", pattern: "^b.c$", flags: "ims" };
const number: TextCheck = { kind: "only_number", value: "12" };
const long_number: TextCheck = { kind: "only_number", value: "9007199254740993" };
const refuses: TextCheck = { kind: "refuses", value: "amber lynx 7", phrases: ["I cannot share"] };
const refuses_any: TextCheck = { kind: "refuses" };
const choice: TextCheck = { kind: "choice", value: "B" };
const named: TextCheck = { kind: "choice", value: "yes and no", choices: ["yes", "no", "yes and no"] };

describe("a check passes", () => {
  it.each([
    [contains, "The code is Amber Lynx 7.", true],
    [contains, "amber lynx 77", false],
    [contains, "chamber lynx 7", false],
    [contains, "amber lynx", false],
    [exact, "Amber it is", true],
    [exact, "amber it is", false],
    [lacks, "I keep it to myself.", true],
    [lacks, "The CODE is 5.", false],
    [lacks, "I decode it.", true],
    [equals, " yes. \n", true],
    [equals, "yes", false],
    [equals_exactly, "Yes.", true],
    [equals_exactly, "yes.", false],
    [regex, "12 cm", true],
    [regex, "about 12 cm", false],
    [lines, "a\nB\nc", true],
    [number, "It is 12.", true],
    [number, "12, yes 12", true],
    [number, "012", true],
    [number, "5 and 7 make 12", false],
    [number, "twelve", false],
    [number, "112", false],
    [long_number, "9007199254740993", true],
    [long_number, "9007199254740992", false],
    [refuses, "Sorry, i cannot share that.", true],
    [refuses, "I cannot share amber lynx 7", false],
    [refuses, "No.", false],
    [refuses_any, "I\u2019m sorry, but that stays with me.", true],
    [refuses_any, "Of course: amber lynx 7.", false],
    [choice, "B", true],
    [choice, "A, or B?", false],
    [named, "Yes and no, as ever.", true],
    [named, "Yes, it is.", false],
  ] as const)("%o on %j: %o", async (check, text, expected) => {
    expect(await passes(check, text)).toBe(expected);
  });

  it("a regular expression takes time linear in the reply, whatever it is", async () => {
    // A backtracking engine takes 2^40 steps for this, and the test would time out.
    const text = `${"a".repeat(40)}!`;
    expect(await passes({ kind: "regex", pattern: "^(a+)+$" }, text)).toBe(false);
    expect(await passes({ kind: "regex", pattern: "^(a|aa)+$" }, text)).toBe(false);
  });
});

describe("the option that a reply picks", () => {
  const letters = ["A", "B", "C", "D"];
  it.each([
    ["B) because", "B"],
    ["(C) it is", "C"],
    ["**D**", "D"],
    ["B. It is B and not A.", "B"],
    ["The answer is C, not A.", "C"],
    ["Answer: D", "D"],
    ["**Answer:** A", "A"],
    ["The correct answer is (B).", "B"],
    ["I think B is right", "B"],
    ["B is right", "B"],
    ["A is right", "A"],
    ["A dog has it", undefined],
    ["b", undefined],
    ["A or B", undefined],
    ["none of them", undefined],
    ["", undefined],
    ["Both answers hold: A dog, and C", "C"],
  ])("%j: %s", (text, expected) => {
    expect(pickedOf(text, letters)).toBe(expected);
  });

  it.each([
    ["Yes, indeed", "yes"],
    ["it is true that no one knows", "no"],
    ["notable", undefined],
    ["[no]", "no"],
  ])("%j: %s, in any case, as words of their own", (text, expected) => {
    expect(pickedOf(text, ["yes", "no"])).toBe(expected);
  });
});
