import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { addConformance } from "./cli.ts";

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

/** Runs the verb as the command line does; what it wrote and its exit code. */
async function run(...args: string[]): Promise<{ stdout: string; stderr: string; code: unknown }> {
  const texts = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((stream) =>
    vi.spyOn(process[stream], "write").mockImplementation(((text: string, done?: () => void) => {
      texts[stream] += text;
      done?.();
      return true;
    }) as typeof process.stdout.write),
  );
  const before = process.exitCode;
  try {
    const program = new Command("capstan").exitOverride();
    addConformance(program);
    await program.parseAsync(["conformance", ...args], { from: "user" });
    return { ...texts, code: process.exitCode };
  } finally {
    process.exitCode = before;
    for (const spy of spies) spy.mockRestore();
  }
}

it("passes over files that a shell's * gives, and exits 0", async () => {
  const { stdout, code } = await run(join(root, "README.md"), join(root, "llama-tied"));
  expect(code).toBe(0);
  expect(stdout).toMatch(/^ok {3}llama-tied .*worst 0\.\d\d of its bound/m);
  expect(stdout).toContain("1 of 1 cases within bounds (12 sites compared)");
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
