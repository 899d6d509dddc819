import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { loadTokenizer } from "../../sdk/index.ts";
import { lacks, python } from "../../testing/parts.ts";
import { runConformance as run } from "../../testing/run_conformance.ts";

const reference = join(import.meta.dirname, "..", "reference");
const tiny = join(import.meta.dirname, "..", "..", "models", "capstan-tiny");
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
  run("make", "--model", join(folder, "model"), "--out", out, "--hooks", "--sites", "--seed", "3", "--json");

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

it.skipIf(lacks("python"))(
  "makes a case of a chat, or names the package that is missing",
  async () => {
    vi.stubEnv("CAPSTAN_PYTHON", python);
    const out = join(folder, "chat-case");
    const chat = join(folder, "chat.json");
    writeFileSync(chat, JSON.stringify({ conversation: [{ role: "user", content: "Who are you?" }] }));
    const made = await run("make", "--model", tiny, "--out", out, "--messages", chat);
    if (made.code !== 0) {
      expect(made.stderr).toMatch(/no package (torch|transformers|safetensors)\b.*pip install -r/);
      return;
    }
    const { stdout, code } = await run(out, "--device", "wasm");
    expect(code, stdout).toBe(0);
    const { runs } = JSON.parse(readFileSync(join(out, "case.json"), "utf8"));
    const model = await loadTokenizer(tiny);
    expect(runs[0].n_prompt).toBe(
      model.encodeChat([{ role: "user", content: "Who are you?" }]).tokens.length,
    );
    model.dispose();
  },
  120_000,
);

it.each([
  [
    "a prompt beside them",
    ["--prompt", "x", "--messages", "x.json"],
    2,
    "need --prompt or --messages, found both",
  ],
  ["no such file", ["--messages", "none.json"], 1, "read none.json: need it to exist"],
])("says what is wrong with messages: %s", async (_, args, expected, message) => {
  const { stderr, code } = await run("make", "--model", tiny, "--out", join(folder, "no-case"), ...args);
  expect([code, stderr]).toEqual([expected, expect.stringContaining(message)]);
});

it("does not write over what is there", async () => {
  const { stderr, code } = await make(folder);
  expect(code).toBe(2);
  expect(stderr).toContain("not to be there yet");
});
