import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { lacks, python } from "../testing/parts.ts";
import { runConformance as run } from "../testing/run_conformance.ts";

const reference = join(import.meta.dirname, "..", "reference");
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "capstan-make-"));
  mkdirSync(join(folder, "model"));
  for (const file of ["config.json", "model.safetensors"]) {
    cpSync(join(reference, "qwen3-tied", file), join(folder, "model", file));
  }
});
afterEach(() => vi.unstubAllEnvs());
afterAll(() => rmSync(folder, { recursive: true }));

const make = (out: string) =>
  run("make", "--model", join(folder, "model"), "--out", out, "--hooks", "--sites");

it("says how to get Python where it is not there, and writes nothing", async () => {
  vi.stubEnv("CAPSTAN_PYTHON", join(folder, "no-python"));
  const { stderr, code } = await make(join(folder, "none"));
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /need Python 3 with torch.*no program .*no-python.*pip install -r .*requirements\.txt/,
  );
  expect(existsSync(join(folder, "none"))).toBe(false);
});

it.skipIf(lacks("python"))(
  "makes a case that holds, or names the package that is missing",
  async () => {
    vi.stubEnv("CAPSTAN_PYTHON", python);
    const out = join(folder, "case");
    const made = await make(out);
    if (made.code !== 0) {
      expect(made.stderr).toMatch(/no package (torch|transformers|safetensors)\b.*pip install -r/);
      return;
    }
    const { stdout, code } = await run(out, "--device", "wasm");
    expect(code, stdout).toBe(0);
    expect(stdout).toMatch(/^ok +case +4 passes/m);
  },
  120_000,
);

it("does not write over what is there", async () => {
  const { stderr, code } = await make(folder);
  expect(code).toBe(2);
  expect(stderr).toContain("not to be there yet");
});
