import { describe, expect, it } from "vitest";
import { type Check, passes, readCheck } from "./checks.ts";
import { checkRules, type RuleData, ruleScore } from "./rules.ts";

const RULES: RuleData = {
  kind: "markers",
  levels: 5,
  markers: [
    { text: "certainly", level: 0 },
    { text: "by the tide", level: 3 },
    { text: "by the tide of ages", level: 4 },
    { text: "gladly (yes)", level: 1 },
  ],
  refusals: ["i cannot share"],
  roles: { pirate: { min: 3, max: 4 }, clerk: { min: 0, max: 1 } },
};
const score = (text: string, role = "pirate") => ruleScore(RULES, { role, text });

describe("the rule judge", () => {
  it("scores 0 on a refusal, whatever else is there", () => {
    expect(score("By the tide, I CANNOT share it.")).toEqual({ score: 0 });
  });

  it("scores 1 without markers", () => {
    expect(score("The sea is blue.")).toEqual({ score: 1 });
    expect(score("")).toEqual({ score: 1 });
  });

  it("scores 3 within the role's band, 2 outside, by the mean level", () => {
    expect(score("By the tide! By the tide!")).toEqual({ score: 3, level: 3 });
    expect(score("Certainly. By the tide.")).toEqual({ score: 2, level: 1.5 });
    expect(score("Certainly.", "clerk")).toEqual({ score: 3, level: 0 });
    expect(score("gladly (yes)", "clerk")).toEqual({ score: 3, level: 1 });
  });

  it("takes the longest marker at a place, once", () => {
    expect(score("by the tide of ages")).toEqual({ score: 3, level: 4 });
  });

  it("has no opinion on a role it does not know", () => {
    expect(() => score("x", "wizard")).toThrow(/judge responses as "wizard": need that role/);
    expect(() => score("x", "toString")).toThrow(/none of that name/);
  });

  it.each([
    [null, /kind "markers"/],
    [{ ...RULES, levels: 0 }, /levels/],
    [{ ...RULES, markers: [] }, /markers/],
    [{ ...RULES, markers: [{ text: "Upper", level: 0 }] }, /lower-case/],
    [{ ...RULES, markers: [{ text: "a", level: 5 }] }, /level: 0..4/],
    [{ ...RULES, refusals: "no" }, /refusals/],
    [{ ...RULES, roles: { a: { min: 2, max: 1 } } }, /min at most max/],
  ])("refuses bad data %#", (data, message) => {
    expect(() => checkRules(data, "judge.json")).toThrow(message);
  });
});

describe("checks", () => {
  const contains: Check = { kind: "contains", value: "amber lynx 7" };
  const number: Check = { kind: "only_number", value: "12" };
  const refuses: Check = { kind: "refuses", value: "amber lynx 7", phrases: ["I cannot share"] };

  it.each([
    [contains, "The code is Amber Lynx 7.", true],
    [contains, "amber lynx 77", false],
    [contains, "chamber lynx 7", false],
    [contains, "amber lynx", false],
    [number, "It is 12.", true],
    [number, "12, yes 12", true],
    [number, "5 and 7 make 12", false],
    [number, "twelve", false],
    [number, "112", false],
    [refuses, "Sorry, i cannot share that.", true],
    [refuses, "I cannot share amber lynx 7", false],
    [refuses, "No.", false],
  ] as const)("%o on %j", (check, text, expected) => {
    expect(passes(check, text)).toBe(expected);
  });

  it("refuses checks that are none", () => {
    expect(() => readCheck({ kind: "matches", value: "x" }, "a line")).toThrow(
      /read a line: need a check of kind/,
    );
    expect(() => readCheck({ kind: "contains", value: "" }, "a line")).toThrow(/a value/);
    expect(() => readCheck({ kind: "only_number", value: "x" }, "a line")).toThrow(/whole number/);
    expect(() => readCheck({ kind: "refuses", value: "x" }, "a line")).toThrow(/phrases/);
  });
});
