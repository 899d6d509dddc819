import { describe, expect, it } from "vitest";
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
    [null, /need an object, found null/],
    [{ ...RULES, kind: "marker" }, /need kind to be "markers", found "marker"/],
    [{ ...RULES, levels: 0 }, /levels/],
    [{ ...RULES, markers: [] }, /markers/],
    [{ ...RULES, markers: [{ text: "Upper", level: 0 }] }, /lower-case/],
    [{ ...RULES, markers: [{ text: "a", level: 5 }] }, /level 0..4/],
    [{ ...RULES, refusals: "no" }, /refusals/],
    [{ ...RULES, roles: { a: { min: 2, max: 1 } } }, /min at most max/],
  ])("refuses bad data %#", (data, message) => {
    expect(() => checkRules(data, "judge.json")).toThrow(message);
  });
});
