import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { deno_path } from "../testing/parts.ts";

/** Deno as a newcomer has it: tasks of a checkout, and programs with few permissions. */

const root = join(import.meta.dirname, "..");
const scratch = mkdtempSync(join(tmpdir(), "capstan-deno-"));
afterAll(() => rmSync(scratch, { recursive: true }));

/** The Deno of the tests first on the path, as a user's is. */
const PATH = `${dirname(deno_path)}:${process.env.PATH}`;

function deno(...args: string[]): { code: number | null; stdout: string; stderr: string } {
  const env = { ...process.env, PATH, NO_COLOR: "1" };
  // From a file, so that there is nobody at a prompt.
  const { status, stdout, stderr } = spawnSync(deno_path, args, { cwd: root, env, encoding: "utf8" });
  return { code: status, stdout, stderr };
}

describe("deno task", () => {
  it("runs the command after npm ci, and installs nothing again", () => {
    const stamp = join(root, "node_modules", ".package-lock.json");
    const before = statSync(stamp).mtimeMs;
    const task = deno("task", "capstan", "generate", "--prompt", "Hello", "--max_tokens", "3", "--json");
    expect(task.code, task.stderr).toBe(0);
    expect(JSON.parse(task.stdout)).toMatchObject({ model: "capstan-tiny" });
    expect(task.stderr).not.toContain("npm ci");
    expect(statSync(stamp).mtimeMs).toBe(before);
  });

  it("finds no command `deno` among npm's, which it would run as JavaScript", () => {
    expect(existsSync(join(root, "node_modules", ".bin", "deno"))).toBe(false);
  });

  it("has the tasks that the docs name", () => {
    const { tasks } = JSON.parse(readFileSync(join(root, "deno.json"), "utf8")) as { tasks: object };
    const page = readFileSync(join(root, "docs", "runtimes.md"), "utf8");
    const named = [...page.matchAll(/deno task (\w+)/g)].map(([, name]) => name!);
    expect(named.length).toBeGreaterThan(0);
    expect(Object.keys(tasks)).toEqual(expect.arrayContaining(named));
  });
});

/** Denies what was not granted instead of asking, and says on stderr what a person would have been asked. */
const READ_ONLY = ["run", "--no-lock", "--no-prompt", "--allow-read"];

describe("Deno with --allow-read alone", () => {
  it("runs the embedded model under a cap", () => {
    const script = join(root, `${crypto.randomUUID()}.tmp`);
    writeFileSync(script, SCRIPT);
    try {
      const { code, stdout, stderr } = deno(...READ_ONLY, "--ext=ts", script);
      expect([code, stderr]).toEqual([0, ""]);
      const { caps, code: error } = JSON.parse(stdout);
      expect(caps).toMatchObject({ here: { tokens: 8 } });
      expect(error).toBe("access_denied");
    } finally {
      rmSync(script);
    }
  });

  it.each([
    ["generate", ["generate", "--prompt", "Hello", "--max_tokens", "3", "--device", "wasm"]],
    ["conformance", ["conformance", "conformance/reference/phi"]],
    ["--version", ["--version"]],
    ["help", ["fit", "--help"]],
  ])("runs the command: %s", (_, args) => {
    const { code, stderr } = deno(...READ_ONLY, "bin/capstan.ts", ...args);
    expect([code, stderr]).toEqual([0, ""]);
  });

  it("asks for nothing at a terminal", () => {
    const script = join(scratch, "asks.json");
    const args = ["bin/capstan.ts", "generate", "--prompt", "Hello", "--max_tokens", "3", "--device", "wasm"];
    // `script` gives it a terminal, where Deno would ask for what is missing and wait.
    const command = `${deno_path} run --no-lock --allow-read ${args.join(" ")}`;
    const { stdout, status } = spawnSync("script", ["-qec", command, script], {
      cwd: root,
      encoding: "utf8",
      timeout: 60_000,
      input: "",
    });
    if (status === null && stdout === null) return console.warn("skipped: no `script` on this machine");
    expect(stdout).not.toContain("requests");
    expect(status).toBe(0);
  });
});

const SCRIPT = `
import { generate, load } from "./sdk/index.ts";
const model = await load("capstan-tiny");
const vector = new Float32Array(model.spec.d_model).fill(1);
const hooks = [{ kind: "cap", site: "blocks.3.hook_resid_post", vector, floor: 0.5, name: "here" }] as const;
const { caps } = await generate(model, [{ role: "user", content: "Who are you?" }], { hooks, max_tokens: 8, temperature: 0 }).result;
await model.dispose();
// A model of the hub is kept in the home folder, which Deno may not show.
const { code } = await load("nobody/nothing").catch((error) => error);
console.log(JSON.stringify({ caps, code }));
`;
