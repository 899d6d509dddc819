import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CapstanError } from "../../../models/index.ts";
import { passes } from "./checks.ts";
import { readSuites, type SuiteItem, type SuiteLine } from "./suites.ts";

const model = { files: null };
const messages = [{ role: "user", content: "How far is it?" }];
const check = { kind: "contains", value: "far" };
const line = { id: "one", messages, check };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "capstan-suites-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function file(name: string, ...lines: (object | string)[]): Promise<string> {
  const path = join(folder, name);
  const text = lines.map((one) => (typeof one === "string" ? one : JSON.stringify(one)));
  await writeFile(path, text.join("\n"));
  return path;
}

const messageOf = async (path: string) => {
  const error = await readSuites(path, model, {}).then(
    () => undefined,
    (error: Error) => error,
  );
  return error?.message.replaceAll(`${folder}/`, "");
};

describe("suites", () => {
  it("come from files, folders and lines, each under its file's name or its own", async () => {
    const distance = await file("distance.jsonl", line, "", { ...line, id: 7, suite: "other", group: "far" });
    const nested = join(folder, "more");
    await mkdir(nested);
    await writeFile(join(nested, "b.jsonl"), JSON.stringify({ messages, check: [check, check] }));
    await writeFile(join(nested, "a.jsonl"), `\ufeff${JSON.stringify({ messages, check })}\r\n`);
    await writeFile(join(nested, "notes.txt"), "not a suite");
    const items = await readSuites([distance, nested, line as SuiteLine], model, {});
    expect(items.map(({ suite, id, group, checks }) => [suite, id, group, checks.length])).toEqual([
      ["distance", "one", "all", 1],
      ["other", "7", "far", 1],
      ["a", "1", "all", 1],
      ["b", "1", "all", 2],
      ["suite", "one", "all", 1],
    ]);
    expect(items[0]).toMatchObject({ max_tokens: 64, messages });
  });

  it.each<[string, object | string, RegExp]>([
    ["text that is no JSON", "{", /^read s\.jsonl line 2: need JSON, found "\{"/],
    ["what is no object", "5", /^read s\.jsonl line 2: need an object, found 5/],
    ["no check", { id: "x", messages }, /^read s\.jsonl line 2 \("x"\): need check, there, found none/],
    [
      "a field misspelt",
      { id: "x", mesages: messages, check },
      /need messages, a list of at least 1, found "mesages"\. Is messages meant\?/,
    ],
    [
      "an unknown field",
      { ...line, id: "x", wings: 2 },
      /need known fields, found "wings"\. Known are id, suite,/,
    ],
    [
      "an unknown check",
      { ...line, check: { kind: "contain", value: "x" } },
      /need check\.kind to be "contains" or .*"judge", found "contain"\. Is contains meant\?/,
    ],
    ["a check without a value", { ...line, check: { kind: "contains" } }, /need check\.value, a text/],
    [
      "an empty value",
      { ...line, check: { kind: "contains", value: "" } },
      /need check\.value to be a text that is not empty, found ""/,
    ],
    [
      "a check's unknown field",
      { ...line, check: { ...check, case: true } },
      /found "check\.case"\. (Is case_sensitive meant|Known are kind, value, case_sensitive)/,
    ],
    ["no checks", { ...line, check: [] }, /need check to be .*of at least 1, found \[\]/],
    [
      "the second check",
      { ...line, check: [check, { kind: "regex", pattern: 5 }] },
      /need check\[1\]\.pattern to be a text/,
    ],
    [
      "a broken regular expression",
      { ...line, check: { kind: "regex", pattern: "(a" } },
      /need check\.pattern to be a regular expression of RE2 .*found "\(a", which has missing closing \)/,
    ],
    [
      "a look-ahead",
      { ...line, check: { kind: "regex", pattern: "(?=a)b" } },
      /no look-around, no back-references\), found "\(\?=a\)b"/,
    ],
    [
      "unknown flags",
      { ...line, check: { kind: "regex", pattern: "a", flags: "g" } },
      /need check\.flags to be a text like/,
    ],
    [
      "a number in words",
      { ...line, check: { kind: "only_number", value: "twelve" } },
      /need check\.value to be a text like/,
    ],
    [
      "a choice that is none of them",
      { ...line, check: { kind: "choice", value: "E" } },
      /need check\.value among A, B, C, D, found "E"/,
    ],
    [
      "doubled choices",
      { ...line, check: { kind: "choice", value: "x", choices: ["x", "x"] } },
      /need check\.choices without doubles/,
    ],
    [
      "a judge's prompt without the reply",
      { ...line, check: { kind: "judge", prompt: "Good?", min: 1 } },
      /need check\.prompt to be a text like .*answer/,
    ],
    [
      "a judge's empty range",
      { ...line, check: { kind: "judge", prompt: "{answer}", min: 2, max: 1 } },
      /need check\.max of at least check\.min, found "2 to 1"/,
    ],
    ["messages of another kind", { ...line, messages: "hi" }, /need messages to be a list of at least 1/],
    ["a message without a role", { ...line, messages: [{ content: "x" }] }, /need messages\[0\]\.role/],
    ["max_tokens 0", { ...line, max_tokens: 0 }, /need max_tokens to be a whole number from 1, found 0/],
    ["a name that is no text", `{"id":"x","\\ud800":1}`, /need JSON of well-formed text/],
  ])("refuse %s", async (_, bad, message) => {
    const path = await file("s.jsonl", { ...line, id: "first" }, bad);
    const found = await messageOf(path);
    expect(found).toMatch(message);
    expect(found).toMatch(/^read s\.jsonl line 2/);
  });

  it("refuse an id twice in a suite, across files too, and take it in another", async () => {
    const twice = await file("s.jsonl", line, line);
    expect(await messageOf(twice)).toBe(
      'read s.jsonl line 2: need an id of its own in suite "s", found "one", which s.jsonl line 1 has. ' +
        "Give one of them another id.",
    );
    const [a, b] = [await file("a.jsonl", line), await file("b.jsonl", { ...line, suite: "a" })];
    await expect(readSuites([a, b], model, {})).rejects.toThrow(/b\.jsonl line 1: need an id of its own/);
    expect(await readSuites([a, await file("c.jsonl", line)], model, {})).toHaveLength(2);
  });

  it("whatever a line holds, it is an item whose checks run, or one clear error that names it", async () => {
    const fields = ["id", "suite", "group", "messages", "max_tokens", "check", "meta", "__proto__"];
    const parts = ["kind", "value", "pattern", "case_sensitive", "phrases"];
    const odd = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom("", "1", "A", "(", "{answer}", 0, -1),
    );
    const kind = (...names: string[]) => fc.constantFrom(...names);
    const checks = fc.oneof(
      fc.record({ kind: kind("contains", "not_contains", "equals"), value: fc.string() }),
      fc.record({ kind: kind("regex"), pattern: fc.string(), flags: fc.constantFrom("", "i", "sm", "x") }),
      fc.record({ kind: kind("only_number"), value: fc.constantFrom("12", "007", "twelve", "") }),
      fc.record({ kind: kind("refuses"), phrases: fc.array(fc.string()) }),
      fc.record({ kind: kind("choice"), value: fc.string(), choices: fc.array(fc.string()) }),
      fc.record({ kind: kind("choice"), value: fc.constantFrom("A", "D", "E") }),
      fc.record({ kind: kind("judge"), prompt: fc.constant("{answer}?"), min: fc.integer(), max: odd }),
    );
    const any_check = fc
      .tuple(checks, fc.constantFrom(...parts), odd, fc.nat(3))
      .map(([check, part, value, n]) => (n > 0 ? check : { ...check, [part]: value }));
    const any_line = fc
      .tuple(any_check, fc.constantFrom(...fields), odd, fc.nat(3))
      .map(([check, field, value, n]) => ({ ...line, check, ...(n > 0 ? {} : { [field]: value }) }));
    const values = fc.oneof({ weight: 9, arbitrary: any_line }, odd);
    let taken = 0;
    const property = fc.asyncProperty(values, fc.string(), async (value, reply) => {
      const items = await readSuites([value as SuiteLine], model, {}).catch((error: unknown) => error);
      if (!Array.isArray(items)) {
        expect(items).toBeInstanceOf(CapstanError);
        // A text among suites is the name of one.
        const said = typeof value === "string" ? /^evaluate: need/ : /^read suites\[0\]/;
        expect((items as Error).message).toMatch(said);
        return;
      }
      taken += 1;
      for (const { checks } of items as SuiteItem[])
        for (const one of checks)
          if (one.kind !== "judge") expect(await passes(one, reply)).toBeTypeOf("boolean");
    });
    await fc.assert(property, { numRuns: 2000, seed: 5 });
    expect(taken).toBeGreaterThan(400);
  });

  it("refuse what is empty or not there", async () => {
    expect(await messageOf(await file("empty.jsonl", "", " "))).toMatch(
      /empty\.jsonl: need at least one item/,
    );
    await rm(join(folder, "empty.jsonl"));
    expect(await messageOf(folder)).toMatch(/need at least one <suite>\.jsonl, found none/);
    expect(await messageOf(join(folder, "none"))).toMatch(/need a file or a folder of suites/);
    await expect(readSuites([], model, {})).rejects.toThrow(/need suites: a name, a file, a folder/);
  });
});
