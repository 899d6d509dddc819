import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { runConformance as run } from "../../testing/run_conformance.ts";

const root = join(import.meta.dirname, "..", "reference");
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "capstan-cases-"));
  cpSync(join(root, "llama-tied"), join(folder, "wrong"), { recursive: true });
  const file = join(folder, "wrong", "case.json");
  const value = JSON.parse(readFileSync(file, "utf8"));
  value.runs[1].hooks[0].floor += 0.25;
  writeFileSync(file, JSON.stringify(value));
});
afterAll(() => rmSync(folder, { recursive: true }));

it("passes over files that a shell's * gives, and exits 0", async () => {
  const { stdout, code } = await run(join(root, "README.md"), join(root, "llama-tied"));
  expect(code).toBe(0);
  expect(stdout).toMatch(/^ok {3}llama-tied .*worst 0\.\d\d of its bound/m);
  expect(stdout).toContain("1 of 1 cases within bounds (34 sites compared)");
});

it("exits 3 where a case falls short, and names the worst cell", async () => {
  const { stdout, code } = await run(join(root, "llama-biases"), join(folder, "wrong"), "--device", "truth");
  expect(code).toBe(3);
  expect(stdout).toMatch(/^FAIL llama-tied/m);
  expect(stdout).toMatch(/floor, stepwise: blocks\.1\.hook_resid_post, token \d+: relative error .* over/);
  expect(stdout).toContain("1 of 2 cases within bounds");
});

it("--json prints one object and nothing else", async () => {
  const { stdout, code } = await run(join(folder, "wrong"), "--device", "truth", "--json");
  expect(code).toBe(3);
  const { passed, cases } = JSON.parse(stdout);
  expect(passed).toBe(false);
  expect(cases[0].runs[2].worst).toMatchObject({
    site: expect.stringMatching(/^blocks|logits/),
    token: expect.any(Number),
    element: expect.any(Number),
    expected: expect.any(Number),
    got: expect.any(Number),
  });
});

it("with q4, says who judges and what q4 itself costs", async () => {
  const args = [join(root, "llama-tied"), "--device", "truth", "--dtype", "q4"];
  const { stdout, code } = await run(...args);
  expect(code).toBe(0);
  expect(stdout).toMatch(/, dtype q4, in node .*, held to the f64 truth with q4 weights$/m);
  expect(stdout).toMatch(
    /^ok {3}llama-tied .*; q4 itself costs \d\.\de[+-]\d, \d\.\d times the design's 1\.5e-1 \(\w+: .*, token \d+\)$/m,
  );
  const [report] = JSON.parse((await run(...args, "--json")).stdout).cases;
  expect(report.quantisation).toMatchObject({
    compared_with: 0.15,
    worst: { name: expect.any(String), site: expect.any(String), relative_error: expect.any(Number) },
  });
  expect(report.quantisation.worst).not.toHaveProperty("bound");
});

it("exits 2 on files alone", async () => {
  const { stderr, code } = await run(join(root, "README.md"));
  expect(code).toBe(2);
  expect(stderr).toContain("found files only");
});

it.each([
  ["no case.json", "check"],
  ["no folder", "nope"],
])("exits 1 where there is %s", async (_, name) => {
  const path = join(root, "..", name);
  const { stderr, code } = await run(path);
  expect(code).toBe(1);
  expect(stderr).toContain(path);
});

it("--report and --junit write files, whatever failed", async () => {
  const [page, xml] = [join(folder, "new", "out.html"), join(folder, "out.xml")];
  const { stdout, code } = await run(join(folder, "wrong"), "--report", page, "--junit", xml);
  expect(code).toBe(3);
  expect(stdout).toContain(`wrote ${page}`);
  expect(readFileSync(page, "utf8")).toMatch(/^<!doctype html>[\s\S]*0 of 1 cases within bounds/);
  expect(readFileSync(xml, "utf8")).toMatch(/^<\?xml [\s\S]*<failure /);
});

it("a wrong use of a subcommand exits 2, as that of a verb does", async () => {
  for (const args of [["diff", "a.json"], ["diff", "a", "b", "--factor", "0.5"], ["--melt"]]) {
    const { stderr, code } = await run(...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: /);
  }
});

it("asks the f64 truth about a case that fails, and with --explain about every case", async () => {
  const failed = await run(join(folder, "wrong"), "--device", "wasm");
  expect(failed.stdout).toMatch(
    /against the f64 truth \(floor, prefill\): every site is within its bound, so/,
  );
  const { stdout, code } = await run(join(root, "llama-tied"), "--device", "wasm", "--explain");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^llama-tied: against the f64 truth \(.*\): every site is within its bound$/m);
});
