import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { memorySource } from "../../sdk/checkpoint/source/index.ts";
import { type CaseReport, checkCase } from "../index.ts";
import { htmlReport } from "./html.ts";
import { junitReport } from "./junit.ts";
import { escapeMarkup } from "./markup.ts";

const reference = join(import.meta.dirname, "..", "reference");
let good: CaseReport;
let bad: CaseReport;

beforeAll(async () => {
  good = await checkCase(join(reference, "qwen3-tied"), { device: "wasm" });
  const folder = join(reference, "llama-tied");
  const read = (file: string) => readFileSync(join(folder, file));
  const described = JSON.parse(read("case.json").toString());
  described.name = `<script>alert("x")</script>\u0007`;
  described.runs[1].hooks[0].floor += 0.25;
  const files = [
    "config.json",
    "model.safetensors",
    "plain.safetensors",
    "floor.safetensors",
    "sites.safetensors",
  ];
  const source = memorySource({
    ...Object.fromEntries(files.map((file) => [file, read(file)])),
    "case.json": JSON.stringify(described),
  });
  bad = await checkCase(source, { device: "wasm" });
});

describe("the page", () => {
  it("needs nothing from elsewhere and runs no script, whatever a case is called", () => {
    const page = htmlReport([good, bad]);
    expect(page).not.toMatch(/<script|https?:|<link|<img/i);
    expect(page).not.toContain("\u0007");
    expect(page).toContain("&#60;script&#62;");
  });

  it("has a cell for every site and the logits of every case, under its architecture", () => {
    const page = htmlReport([good, bad]);
    const n_sites = [good, bad].reduce((n, { runs }) => n + runs.at(-1)!.sites.length, 0);
    expect(page.match(/<td class="cell/g)).toHaveLength(n_sites);
    expect(page).toMatch(/colspan="5">0<.*>pre<.*>attn<.*>mid<.*>mlp<.*>post</);
    expect(page.match(/class="of">(\w+)/g)?.map((text) => text.split(">").at(-1))).toEqual([
      "qwen3",
      "llama",
    ]);
  });

  it("marks what is over its bound, and what is not finite", () => {
    expect(htmlReport([good])).not.toContain('class="cell over"');
    expect(htmlReport([bad])).toContain('class="cell over"');
    const spoiled = structuredClone(bad);
    spoiled.runs[0]!.sites[0]!.worst_relative_error = Number.POSITIVE_INFINITY;
    expect(htmlReport([spoiled])).toMatch(/class="cell over"[^>]*>∞</);
  });
});

describe("of quantised weights", () => {
  let quantised: CaseReport;
  beforeAll(async () => {
    quantised = await checkCase(join(reference, "qwen3-tied"), { device: "truth", dtype: "q4" });
  });

  it("the page says who judges, and what they cost", () => {
    const page = htmlReport([quantised]);
    const { run, loss } = summaryOf(quantised);
    expect(page).toContain("Held to the f64 truth with q4 weights.");
    expect(page).toContain("What q4 itself costs");
    expect(page).toMatch(new RegExp(`<td>qwen3-tied</td><td>${run}</td>.*>${loss}</td>`));
    expect(htmlReport([good])).toContain("Held to the reference.");
    expect(htmlReport([good])).not.toContain("itself costs");
  });

  it("JUnit's XML says so as properties", () => {
    const xml = junitReport([quantised]);
    expect(xml).toContain('name="judged_by" value="the f64 truth with q4 weights"');
    expect(xml).toMatch(
      /name="quantisation" value="q4 itself costs [\d.e+-]+, [\d.]+ times the design&#39;s 1\.5e-1 /,
    );
    expect(junitReport([good])).not.toContain("quantisation");
  });

  function summaryOf({ quantisation }: CaseReport): { run: string; loss: string } {
    const { name, relative_error } = quantisation!.worst;
    return { run: name, loss: relative_error.toExponential(2).replace("+", "\\+") };
  }
});

describe("JUnit's XML", () => {
  it("has a test for each pass, and a failure for each that fell short", () => {
    const xml = junitReport([good, bad]);
    const n_tests = [good, bad].reduce((n, report) => n + report.runs.length + report.generated.length, 0);
    const n_failed = [...bad.runs, ...bad.generated].filter(({ passed }) => !passed).length;
    expect(n_failed).toBeGreaterThan(1);
    expect(xml.match(/<testcase /g)).toHaveLength(n_tests);
    expect(xml.match(/<failure /g)).toHaveLength(n_failed);
    expect(xml).toContain(`<testsuites name="capstan conformance" tests="${n_tests}" failures="${n_failed}"`);
    expect(xml).toMatch(/message="\S+, token \d+: relative error \S+ over \S+">blocks\.1\.hook_resid_post: /);
  });

  it("says which passes were skipped, and why", async () => {
    const report = await checkCase(join(reference, "llama-gqa-untied"), { device: "wasm" });
    const xml = junitReport([report]);
    expect(xml.match(/<skipped message="a hook has positions &#34;last&#34;/g)).toHaveLength(3);
  });
});

it("markup holds any text", () => {
  expect(escapeMarkup(`a<b>&"'\u0000\uD800é\u{1F600}\n`)).toBe(
    "a&#60;b&#62;&#38;&#34;&#39;\uFFFD\uFFFDé\u{1F600}\n",
  );
});
