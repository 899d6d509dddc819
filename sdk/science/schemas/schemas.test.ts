import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkTable, fieldTable } from "../../../testing/format_tables.ts";
import type { DemoCase, DriftScript, Question, Recipe, RoleDefinition, SuiteLine } from "../index.ts";
import { CHECK_DEFS } from "./check.ts";
import { checkData, FORMATS, type FormatName } from "./index.ts";
import type { JsonSchema } from "./schema.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const doc_path = join(root, "docs", "formats.md");
const doc = readFileSync(doc_path, "utf8");
const names = Object.keys(FORMATS) as FormatName[];

/** Both are written by this test: `npm test -- sdk/science/schemas -u` after a change of a schema. */
describe("what is written from the schemas is as they are", () => {
  it.each(names)("%s.schema.json", async (name) => {
    const text = `${JSON.stringify(FORMATS[name], null, 2)}\n`;
    await expect(text).toMatchFileSnapshot(`./${name}.schema.json`);
  });

  it("the tables of docs/formats.md", async () => {
    const filled = doc
      .replace(/(<!-- fields of (\w+) -->\n)[\s\S]*?(<!-- end -->)/g, (_, start, name, end) => {
        return `${start}${fieldTable(FORMATS[name as FormatName])}\n${end}`;
      })
      .replace(/(<!-- checks -->\n)[\s\S]*?(<!-- end -->)/, (_, start, end) => {
        return `${start}${checkTable()}\n${end}`;
      });
    expect(names.filter((name) => !doc.includes(`<!-- fields of ${name} -->`))).toEqual([]);
    await expect(filled).toMatchFileSnapshot(doc_path);
  });
});

describe("the examples of docs/formats.md", () => {
  const blocks = [...doc.matchAll(/```json (\w+)\n([\s\S]*?)```/g)].map(([, name, text]) => ({ name, text }));
  const examples = blocks.flatMap(({ name, text }) => {
    const is_lines = name === "suite" || name === "question";
    const texts = is_lines ? text!.trim().split("\n") : [text!];
    return texts.map((one) => ({ name: name as FormatName, value: JSON.parse(one) as unknown }));
  });

  it("are there for every format, and follow it", () => {
    expect([...new Set(examples.map(({ name }) => name))].sort()).toEqual([...names].sort());
    for (const { name, value } of examples) checkData(value, name, `an example of ${name}`);
  });

  it("show every kind of check", () => {
    const shown = examples.flatMap(({ name, value }) =>
      name === "suite" ? [(value as SuiteLine).check] : [],
    );
    const kinds = new Set(shown.flat().map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual(
      Object.keys(CHECK_DEFS)
        .filter((name) => name !== "check")
        .sort(),
    );
  });

  it("have fields that the tables list, and no example is taken with another beside them", () => {
    for (const { name, value } of examples) {
      for (const field of fieldsOf(value)) expect(doc, name).toContain(`\`${field}\``);
      // Roles, questions as others publish them may have more.
      if (name === "role" || name === "question" || Array.isArray(value)) continue;
      const more = { ...(value as object), other_field: 1 };
      expect(() => checkData(more, name, "x")).toThrow(/need known fields, found "other_field"/);
    }
  });
});

/** An object's own fields, as the tables name them. */
const fieldsOf = (value: unknown) =>
  Array.isArray(value) ? Object.keys(value[0]).map((name) => `[].${name}`) : Object.keys(value as object);

describe("the schemas", () => {
  it("have the fields of the types, no more and no fewer", () => {
    type Fields<T> = Record<keyof Required<T>, true>;
    const suite: Fields<SuiteLine> = {
      id: true,
      suite: true,
      group: true,
      messages: true,
      max_tokens: true,
      check: true,
      meta: true,
    };
    // min_count of a run's manifest stands under `collect` in the file.
    const capstan: Fields<Omit<Recipe, "min_count">> = {
      roles: true,
      role_names: true,
      questions: true,
      judge: true,
      suites: true,
      drift: true,
      demo: true,
      collect: true,
      target_layer: true,
      cap: true,
    };
    const collect: Fields<NonNullable<Recipe["collect"]>> = {
      temperature: true,
      top_p: true,
      max_tokens: true,
      samples: true,
      seed: true,
      min_count: true,
      questions_per_instruction: true,
    };
    const role: Fields<RoleDefinition> = {
      instruction: true,
      questions: true,
      eval_prompt: true,
      group: true,
    };
    const question: Fields<Question> = { id: true, question: true };
    const demo: Fields<DemoCase> = { title: true, messages: true, check: true };
    const drift: Fields<DriftScript> = { name: true, system: true, turns: true, ask: true, check: true };
    const fields = (schema: JsonSchema | undefined) =>
      Object.keys(schema?.properties ?? {}).filter((name) => name !== "$schema");
    expect(fields(FORMATS.suite)).toEqual(Object.keys(suite));
    expect(fields(FORMATS.capstan)).toEqual(Object.keys(capstan));
    expect(fields(FORMATS.capstan.properties?.collect)).toEqual(Object.keys(collect));
    expect(fields(FORMATS.role)).toEqual(Object.keys(role));
    expect(fields(FORMATS.question)).toEqual(Object.keys(question));
    expect(fields(FORMATS.demo.items)).toEqual(Object.keys(demo));
    expect(fields(FORMATS.drift)).toEqual(Object.keys(drift));
  });

  it("refer to what they define", () => {
    for (const name of names) {
      const text = JSON.stringify(FORMATS[name]);
      for (const [, def] of text.matchAll(/"\$ref":"#\/\$defs\/(\w+)"/g))
        expect(Object.keys(FORMATS[name].$defs ?? {}), name).toContain(def);
    }
  });

  it("take the files of the embedded model", () => {
    const folder = join(root, "models", "capstan-tiny");
    const json = (file: string): unknown => JSON.parse(readFileSync(join(folder, file), "utf8"));
    const lines = (file: string): unknown[] =>
      readFileSync(join(folder, file), "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
    for (const file of ["capstan", "judge", "demo"] as const) checkData(json(`${file}.json`), file, file);
    for (const script of json("drift.json") as unknown[]) checkData(script, "drift", "drift.json");
    for (const split of ["dev", "test"])
      for (const line of lines(`evaluate/${split}.jsonl`)) checkData(line, "suite", split);
    for (const line of lines("questions.jsonl")) checkData(line, "question", "questions.jsonl");
    for (const file of readdirSync(join(folder, "roles"))) checkData(json(`roles/${file}`), "role", file);
  });
});
