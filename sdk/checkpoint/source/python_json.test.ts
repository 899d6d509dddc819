import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lacks, python } from "../../../testing/parts.ts";
import { parsePythonJson } from "./python_json.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

describe("parsePythonJson", () => {
  test.each<[string, unknown]>([
    ["[NaN, Infinity, -Infinity]", [nan, inf, -inf]],
    ['{"a":{"b":-Infinity},"c":"NaN","d":NaN}', { a: { b: -inf }, c: "NaN", d: nan }],
    ['["\\"Infinity", Infinity, "\\\\", NaN]', ['"Infinity', inf, "\\", nan]],
    ['{"NaN": 1, "Infinity": NaN}', { NaN: 1, Infinity: nan }],
    ["  NaN\n", nan],
    ['{"a": 1}', { a: 1 }],
  ])("reads %s", (text, value) => expect(parsePythonJson(text)).toEqual(value));

  test.each([
    "",
    "{",
    "NaNs",
    "Infinity1",
    "+Infinity",
    "- Infinity",
    "[NaN",
    "{NaN: 1}",
    "nan",
    '"NaN',
    "[Infinity,]",
  ])("refuses %j with JSON's own error", (text) => {
    expect(() => parsePythonJson(text)).toThrow(SyntaxError);
  });

  test("is JSON.parse for what that reads", () => {
    fc.assert(fc.property(fc.json(), (text) => void expect(parsePythonJson(text)).toEqual(JSON.parse(text))));
  });

  test.skipIf(lacks("python"))("reads what Python writes of any value", () => {
    const number = fc.oneof(fc.constantFrom(nan, inf, -inf), fc.integer());
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: "small" },
        number,
        fc.string(),
        fc.array(tie("value")),
        fc.dictionary(
          fc.string().filter((key) => key !== "__proto__"),
          tie("value"),
        ),
      ),
    }));
    const values = fc.sample(value, 400);
    const asPython = (of: unknown): unknown =>
      typeof of === "number" && !Number.isInteger(of)
        ? { float: String(of) }
        : Array.isArray(of)
          ? of.map(asPython)
          : typeof of === "object" && of !== null
            ? { dict: Object.entries(of).map(([key, inner]) => [key, asPython(inner)]) }
            : of;
    const script = `
import json, sys
def read(v):
    if isinstance(v, list): return [read(x) for x in v]
    if isinstance(v, dict): return float(v["float"]) if "float" in v else {k: read(x) for k, x in v["dict"]}
    return v
for line in sys.stdin: print(json.dumps(read(json.loads(line))))`;
    const input = values.map((one) => JSON.stringify(asPython(one))).join("\n");
    const { stdout } = spawnSync(python, ["-c", script], { input, encoding: "utf8" });
    const lines = stdout.trimEnd().split("\n");
    expect(lines.length).toBe(values.length);
    for (const [i, line] of lines.entries()) expect(parsePythonJson(line)).toEqual(values[i]);
  });
});
