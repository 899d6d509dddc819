import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, test } from "vitest";
import { lacks, python } from "../../../testing/parts.ts";
import { judge, strayLetters, type TemplateCase, type Verdict } from "./oracle/case.ts";

/**
 * Random templates of jinja2's whole grammar (oracle/grammar.py) against what jinja2 makes of them: the same text, or
 * an error where it has one. CAPSTAN_JINJA gives oracle.py other arguments: "--count 100000 --from 7000000".
 */

const folder = join(import.meta.dirname, "oracle");
const read = (name: string): TemplateCase[] =>
  readFileSync(join(folder, name), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
/** One point each, written by hand (oracle/written.py); and random ones of all kinds. */
const kept = [...read("written.jsonl"), ...read("cases.jsonl")];

async function* ask(args: readonly string[]): AsyncGenerator<TemplateCase> {
  const child = spawn(python, ["-W", "ignore", join(folder, "oracle.py"), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
  for await (const line of createInterface({ input: child.stdout })) yield JSON.parse(line);
  expect(await closed).toBe(0);
}

/** Counts over many cases, and the first that differ. */
class Tally {
  n = 0;
  n_texts = 0;
  n_lines = 0;
  n_same_lines = 0;
  readonly wrong: { n: number; template: string; need: string; got: string }[] = [];
  readonly wrong_lines: number[] = [];

  add(one: TemplateCase, { is_same, is_same_line, got }: Verdict): void {
    this.n++;
    if (one.text !== undefined) this.n_texts++;
    if (!is_same && this.wrong.length < 10)
      this.wrong.push({ n: one.n, template: one.template, need: one.text ?? `${one.error}`, got });
    if (!is_same || is_same_line === null) return;
    this.n_lines++;
    if (is_same_line) this.n_same_lines++;
    else if (one.error === "TemplateSyntaxError") this.wrong_lines.push(one.n);
  }
}

describe("templates that Python has rendered", () => {
  test("render as jinja2 renders them, and fail where it fails, at the same line", () => {
    const tally = new Tally();
    for (const one of kept) tally.add(one, judge(one));
    expect(tally.wrong).toEqual([]);
    expect(tally.wrong_lines).toEqual([]);
    expect(tally.n_same_lines).toBe(tally.n_lines);
    expect(tally.n_texts).toBeGreaterThan(400);
    expect(tally.n_lines).toBeGreaterThan(300);
  });

  test("know which of their text is the caller's", () => {
    const stray = kept.map((one) => ({ n: one.n, stray: strayLetters(one) }));
    expect(stray.filter((one) => one.stray.length > 0)).toEqual([]);
  });
});

describe.skipIf(lacks("python"))("templates that Python draws now", () => {
  const given = (process.env.CAPSTAN_JINJA ?? "--count 3000 --from 900000").split(" ");

  test("render as jinja2 renders them, and know which of their text is the caller's", async () => {
    const tally = new Tally();
    const stray: { n: number; template: string; stray: string[] }[] = [];
    for await (const one of ask(given)) {
      tally.add(one, judge(one));
      const found = strayLetters(one);
      if (found.length > 0 && stray.length < 10)
        stray.push({ n: one.n, template: one.template, stray: found });
    }
    expect(tally.wrong).toEqual([]);
    expect(stray).toEqual([]);
    // Python compiles to lines of its own, and tells a few faults inside of a tag by its first or last line.
    expect(tally.n_same_lines / tally.n_lines).toBeGreaterThan(0.98);
    expect(tally.n_texts / tally.n).toBeGreaterThan(0.3);
    console.info(
      `${tally.n} templates, ${tally.n_texts} texts, ${tally.n_same_lines} of ${tally.n_lines} lines`,
    );
  }, 7_200_000);
});
