import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { deno_path, lacks } from "../testing/parts.ts";

/** What verbs write: nothing over their inputs or over a run, and one line where a stream takes nothing. */

const root = join(import.meta.dirname, "..");
const scratch = mkdtempSync(join(tmpdir(), "capstan-outputs-"));
afterAll(() => rmSync(scratch, { recursive: true }));
const at = (name: string) => join(scratch, name);

const NODE = `${process.execPath} ${join(root, "bin/capstan.mjs")}`;
const DENO = `${deno_path} run -A ${join(root, "bin/capstan.ts")}`;
const RUNTIMES = [["Node", NODE] as const, ...(lacks("deno") ? [] : [["Deno", DENO] as const])];

function shell(line: string) {
  const { status, stdout, stderr } = spawnSync("bash", ["-o", "pipefail", "-c", line], {
    cwd: scratch,
    encoding: "utf8",
    timeout: 60_000,
  });
  return { status, stdout, stderr: said(stderr) };
}

/** Without what set-up and drivers say. */
function said(stderr: string): string {
  return stderr.replace(/^(capstan: building|error: XDG_RUNTIME_DIR|Download|Warning: Vulkan).*\n/gm, "");
}
const capstan = (line: string) => shell(`${NODE} ${line}`);

beforeAll(() => {
  expect(capstan("collect --limit 1 --max_tokens 2 --judge all --out run").status).toBe(0);
  expect(capstan("fit run --min_count 1").status).toBe(0);
  expect(capstan("cap").status).toBe(0);
  mkdirSync(at("roles"));
  writeFileSync(at("roles/pirate.json"), JSON.stringify({ instruction: [{ pos: "You are a pirate." }] }));
  writeFileSync(at("notes.txt"), "mine");
  writeFileSync(at("empty"), "");
  symlinkSync(at("axis.safetensors"), at("link"));
}, 60_000);

describe("--out", () => {
  it.each([
    [
      "cap axis.safetensors --out axis.safetensors",
      "axis.safetensors",
      "found the input axis axis.safetensors",
    ],
    ["cap axis.safetensors --out link", "axis.safetensors", "found the input axis axis.safetensors"],
    ["cap link --out ./axis.safetensors", "axis.safetensors", "found the input axis link"],
    [
      "plot persona-space axis.safetensors --out axis.safetensors",
      "axis.safetensors",
      "the input inputs axis",
    ],
    ["collect --roles roles --questions q.jsonl --out roles", "roles/pirate.json", "the input --roles roles"],
    ["fit run --out run", "run/manifest.json", "the input run run"],
    ["fit run --out run/responses.jsonl", "run/responses.jsonl", "keeps, found one of run."],
    ["fit run --out run/manifest.json", "run/manifest.json", "keeps, found one of run."],
    [
      "cap --out run/activations/000000.safetensors",
      "run/activations/000000.safetensors",
      "found one of run.",
    ],
    ["fit run --out notes.txt", "notes.txt", "an axis of an earlier fit to replace, found another file"],
    ["fit run --out cap.safetensors", "cap.safetensors", "an axis of an earlier fit to replace"],
    ["cap --out notes.txt", "notes.txt", "caps of an earlier call to replace"],
    ["demo --out .", "run/responses.jsonl", "found run, which no demo made"],
  ])(
    "is refused before anything is done where it would overwrite what is needed: %s",
    (line, file, message) => {
      const before = readFileSync(at(file));
      const { status, stderr } = capstan(line);
      expect(stderr).toContain(message);
      expect(stderr.trim().split("\n")).toHaveLength(1);
      expect(status).toBe(2);
      expect(readFileSync(at(file)).equals(before)).toBe(true);
      expect(existsSync(at("roles/manifest.json"))).toBe(false);
    },
  );

  it("may replace a file of its kind, fill an empty one, be a device, and stand in a run's folder by another name", () => {
    for (const out of ["cap.safetensors", "empty", "/dev/null", "run/cap.safetensors"])
      expect(capstan(`cap --out ${out}`), out).toMatchObject({ status: 0 });
  });

  it("of /save in a chat replaces conversations alone", () => {
    const before = readFileSync(at("axis.safetensors"));
    const lines = "Hello\\n/save axis.safetensors\\n/save talk.json\\n/save talk.json\\n";
    const { stdout, stderr } = shell(`printf '${lines}' | ${NODE} chat --max_tokens 2`);
    expect(stderr).toContain(
      "/save: need a new file, or a conversation to replace, found another file, axis.",
    );
    expect(stdout.match(/2 messages in talk\.json/g)).toHaveLength(2);
    expect(readFileSync(at("axis.safetensors")).equals(before)).toBe(true);
  });
});

describe.skipIf(!existsSync("/dev/full")).each(RUNTIMES)("a stream that takes nothing, in %s", (_, call) => {
  it.each([
    "--help",
    "collect --help",
    "--version",
    "cap --out cap.safetensors",
    "cap --out cap.safetensors --json",
  ])("is one line and no stack: %s", (line) => {
    const full = shell(`${call} ${line} > /dev/full`);
    const said = "capstan: write to stdout: need the system to allow it, found a full disk (ENOSPC).\n";
    expect(full).toEqual({ status: 1, stdout: "", stderr: said });
    expect(shell(`${call} ${line} | true`)).toEqual({ status: 0, stdout: "", stderr: "" });
  });
});

/** A judge as a module, and what is said of it. Deno itself waits for ever on a module that never loads. */
const NEVER = [
  ["Node", NODE, "const judge = () => new Promise(() => {})", "judge response"],
  [
    "Node",
    NODE,
    "await new Promise(() => {}); const judge = () => 3",
    "import never.mjs: need a module that loads",
  ],
  ["Deno", DENO, "const judge = () => new Promise(() => {})", "judge response"],
] as const;

describe("what never settles", () => {
  it.each(NEVER.filter(([name]) => RUNTIMES.some(([own]) => own === name)))(
    "is one clear error, in %s",
    (_, call, code, message) => {
      writeFileSync(at("never.mjs"), `${code}; export { judge };`);
      const { status, stdout, stderr } = shell(`${call} judge run --judge never.mjs`);
      expect([status, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(new RegExp(`^capstan: ${message}.*\\n$`));
      expect(existsSync(at("run/lock"))).toBe(false);
    },
  );

  it.each(RUNTIMES)(
    "ends by Ctrl-C, whatever a judge keeps going, in %s",
    async (_, call) => {
      writeFileSync(
        at("never.mjs"),
        `import { writeFileSync } from "node:fs";
      setInterval(() => {}, 1000);
      export function judge() {
        writeFileSync("asked", "");
        return new Promise(() => {});
      }`,
      );
      rmSync(at("asked"), { force: true });
      const [command, ...args] = `${call} judge run --judge never.mjs`.split(" ") as [string, ...string[]];
      const child = spawn(command, args, { cwd: scratch, stdio: ["ignore", "ignore", "pipe"] });
      let stderr = "";
      child.stderr.on("data", (text) => {
        stderr += String(text);
      });
      const ended = once(child, "close");
      await vi.waitFor(() => expect(existsSync(at("asked"))).toBe(true), { timeout: 60_000, interval: 50 });
      child.kill("SIGINT");
      const [status] = await ended;
      expect([status, said(stderr)]).toEqual([
        130,
        "capstan: interrupted; files written so far are complete\n",
      ]);
    },
    90_000,
  );
});

describe("scores in a file", () => {
  it("that are of no response of the run are an error, and none is written", () => {
    writeFileSync(at("others.jsonl"), '{"key": "x", "score": 3}\n{"key": "default_p0_q0_s0", "score": 3}\n');
    const before = readFileSync(at("run/scores.jsonl"), "utf8");
    for (const line of ["judge run --judge others.jsonl", "judge run --judge others.jsonl --dry_run"]) {
      const { status, stderr } = capstan(line);
      expect([status, stderr]).toEqual([
        1,
        expect.stringMatching(/^capstan: read others\.jsonl: need scores of this run's/),
      ]);
    }
    expect(readFileSync(at("run/scores.jsonl"), "utf8")).toBe(before);
    const early = capstan("collect --limit 1 --max_tokens 2 --judge others.jsonl --out early");
    expect([early.status, existsSync(at("early"))]).toEqual([1, false]);
  });
});
