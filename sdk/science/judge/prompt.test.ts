import { describe, expect, it } from "vitest";
import { fillPrompt, hasAnswer, parseScore } from "./prompt.ts";

describe("a judge prompt", () => {
  it("is filled as Python's format fills it", () => {
    expect(fillPrompt("Q {question} A {answer} {{0 to 3}}", "why?", "so")).toBe("Q why? A so {0 to 3}");
    expect(fillPrompt("{answer}{answer}", "", "x")).toBe("xx");
  });

  it("takes what an answer says as text, whatever it looks like", () => {
    expect(fillPrompt("{question}|{answer}", "{answer}", "{question} $& {{")).toBe(
      "{answer}|{question} $& {{",
    );
  });

  it("has to show the answer", () => {
    expect(hasAnswer("score {answer}")).toBe(true);
    expect(hasAnswer("score {{answer}}")).toBe(false);
    expect(hasAnswer("score {question}")).toBe(false);
  });
});

/** What the published `parse_judge_score` gives. */
describe("the score of a reply", () => {
  it.each([
    ["3", 3],
    [" 2\n", 2],
    ["Score: 1.", 1],
    ["**0**", 0],
    ["3/3", 3],
    ["2.5", 2],
    ["-1", 1],
    ["I'd say 2, maybe 3", 2],
    ["03", 3],
    ["٢", 2],
    ["３。", 3],
    ["(१)", 1],
    ["𝟛", 3],
    ["4", null],
    ["10", null],
    ["10 out of 3", null],
    ["three", null],
    ["label3", null],
    ["3rd", null],
    ["_2", null],
    ["é3", null],
    ["²", null],
    ["", null],
    ["99999999999999999999", null],
    ["<think>it may be 1 or 2</think>\n3", 3],
    ["<think>it may be 1 or", null],
    ["3 <think>no, 1</think>", 3],
  ])("%j is %j", (reply, score) => {
    expect(parseScore(reply)).toBe(score);
  });
});
