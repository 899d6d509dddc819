import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { generate, load } from "../sdk/index.ts";
import { deno_path } from "../testing/parts.ts";

const root = join(import.meta.dirname, "..");
const scratch = mkdtempSync(join(tmpdir(), "capstan-bin-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const NODE = [process.execPath, "bin/capstan.mjs"];
const DENO = [deno_path, "run", "-A", "bin/capstan.ts"];

function start(command: readonly string[], args: readonly string[]): ChildProcess {
  return spawn(command[0]!, [...command.slice(1), ...args], { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
}

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

function ended(child: ChildProcess): Promise<Ended> {
  let stdout = "";
  let stderr = "";
  child.stdout!.on("data", (data) => (stdout += data));
  child.stderr!.on("data", (data) => (stderr += data));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

const capstan = (...args: string[]) => ended(start(NODE, args));

describe("the command", () => {
  it.skipIf(!existsSync("/dev/full"))("says in one line that stdout takes nothing", () => {
    for (const json of [["--json"], []]) {
      const line = `${NODE.join(" ")} generate --prompt hi --max_tokens 2 ${json.join()} > /dev/full`;
      const { status, stderr } = spawnSync("sh", ["-c", line], { cwd: root, encoding: "utf8" });
      const said = "capstan: write to stdout: need the system to allow it, found a full disk (ENOSPC).\n";
      expect([status, stderr.replace(/^capstan: building .*\n/, "")]).toEqual([1, said]);
    }
  });

  it.each([
    ["fly", "--help"],
    ["help", "fly"],
    ["fly", "x"],
    ["colect", "--help"],
  ])("refuses a verb that it does not have: %s %s", async (...args) => {
    const { code, stdout, stderr } = await capstan(...args);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^error: unknown command '(fly|colect)'/m);
    if (args[0] === "colect") expect(stderr).toContain("Did you mean collect?");
  });

  it("explains itself", async () => {
    const help = await capstan("--help");
    expect(help.code).toBe(0);
    for (const verb of [
      "demo",
      "generate",
      "chat",
      "collect",
      "fit",
      "cap",
      "project",
      "plot",
      "evaluate",
      "conformance",
      "bench",
      "pull",
      "doctor",
    ]) {
      expect(help.stdout).toContain(`\n  ${verb}`);
      const own = await capstan(verb, "--help");
      expect(own.code).toBe(0);
      expect(own.stdout).toContain("Examples:");
      expect(own.stdout).toContain("--json");
    }
  });

  it.each([
    ["an unknown verb", ["fly"]],
    ["an unknown option", ["generate", "--wings"]],
    ["a number that is none", ["generate", "--prompt", "x", "--max_tokens", "many"]],
    ["a missing prompt", ["generate"]],
    ["two prompts", ["generate", "x", "--prompt", "y"]],
    ["an empty path", ["collect", "--limit", "1", "--out", ""]],
    ["a cap for an evaluation without caps", ["evaluate", "--uncapped", "--cap", "x.safetensors"]],
    ["a cap beside a policy", ["serve", "--policy", "x.json", "--cap", "x.safetensors", "--pinned"]],
    ["a port that is none", ["serve", "--port", "70000"]],
    ["a prompt without quotes", ["generate", "Hello", "there"]],
    ["an impossible option", ["generate", "--prompt", "x", "--top_p", "2"]],
  ])("exits with 2 for %s", async (_, args) => {
    const { code, stdout, stderr } = await capstan(...args);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).not.toBe("");
  });

  it("exits with 1 and one clear line for a model that is not there", async () => {
    const { code, stdout, stderr } = await capstan(
      "generate",
      "--prompt",
      "x",
      "--model",
      join(scratch, "none"),
      "--json",
    );
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "not_found" } });
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  it.each([
    ["an axis", ["cap", "none.safetensors"], "capstan fit RUN --out FILE"],
    ["an axis for a conversation", ["project", "none.json", "--axis", "none.safetensors"], "capstan fit RUN"],
    ["caps", ["generate", "--prompt", "x", "--cap", "none.safetensors"], "capstan cap AXIS --out FILE"],
    [
      "an axis that are weights",
      ["cap", "models/capstan-tiny/model.safetensors"],
      "capstan fit RUN --out FILE",
    ],
    ["a run", ["fit", "none"], "collect"],
    ["a reference case", ["conformance", "none"], "capstan conformance make"],
    ["a run to compare", ["conformance", "diff", "none", "none"], "capstan conformance CASE... --json"],
  ])("says what makes a file that is not there: %s", async (_, args, command) => {
    const { code, stderr } = await capstan(...args);
    expect([code, stderr.trim().split("\n").length]).toEqual([1, 1]);
    expect(stderr).toContain(command);
  });

  it("takes options in both spellings, and says what it does not know as it was written", async () => {
    const args = ["generate", "--prompt", "--top-k", "--temperature", "0", "--json"];
    const dashes = await capstan(...args, "--max-tokens", "4", "--stop-token-ids", "5");
    const underlines = await capstan(...args, "--max_tokens=4", "--stop_token_ids", "5");
    expect(dashes.code).toBe(0);
    expect(JSON.parse(dashes.stdout).tokens).toEqual(JSON.parse(underlines.stdout).tokens);
    expect((await capstan("generate", "--max-tokns", "4")).stderr).toContain("unknown option '--max-tokns'");
  });

  it("takes the prompt as an argument, too", async () => {
    const rest = ["--temperature", "0", "--max_tokens", "4", "--json"];
    const [argument, option] = [
      await capstan("generate", "Who are you?", ...rest),
      await capstan("generate", "--prompt", "Who are you?", ...rest),
    ];
    expect(argument.code).toBe(0);
    expect(JSON.parse(argument.stdout).tokens).toEqual(JSON.parse(option.stdout).tokens);
  });

  it("reads stdin where a file is read, once", () => {
    const feed = (input: string | Uint8Array, ...args: string[]) =>
      spawnSync(NODE[0]!, [...NODE.slice(1), ...args], { cwd: root, input, encoding: "utf8" });
    const chat = JSON.stringify([{ role: "user", content: "Hello" }]);
    const reply = feed(chat, "generate", "--messages", "-", "--max_tokens", "2", "--json");
    expect([reply.status, reply.stderr]).toEqual([0, ""]);
    expect(JSON.parse(reply.stdout).tokens).toHaveLength(2);
    const no_json = feed("[", "generate", "--messages", "-");
    expect([no_json.status, no_json.stderr]).toEqual([
      1,
      expect.stringMatching(/^capstan: read stdin: need a JSON/),
    ]);
    const weights = readFileSync(join(root, "models/capstan-tiny/model.safetensors"));
    expect(feed(weights, "cap", "-").stderr).toMatch(
      /^capstan: read stdin: need metadata format "capstan.axis"/,
    );
    const twice = feed(chat, "project", "-", "--axis", "-");
    expect([twice.status, twice.stderr]).toEqual([2, expect.stringContaining("one thing that reads it")]);
  });

  it("keeps what libraries print off the stdout of --json", () => {
    const noise =
      "data:text/javascript,setInterval(() => { console.log('noise'); process.stdout.write('x'); }, 1).unref()";
    const args = ["--import", noise, ...NODE.slice(1), "generate", "--prompt", "x", "--max_tokens", "2"];
    const { stdout, stderr } = spawnSync(NODE[0]!, [...args, "--json"], { cwd: root, encoding: "utf8" });
    expect(stderr).toContain("noise");
    // What was printed before the command was read is not the command's.
    expect(JSON.parse(stdout.slice(stdout.indexOf("{")))).toMatchObject({ model: "capstan-tiny" });
  });

  it("generates: one JSON object on stdout, nothing on stderr, the same in Node and Deno", async () => {
    const args = [
      "generate",
      "--prompt",
      "What colour is the sky?",
      "--temperature",
      "0",
      "--max_tokens",
      "24",
      "--json",
    ];
    const node = await capstan(...args);
    expect(node).toMatchObject({ code: 0, stderr: "" });
    const report = JSON.parse(node.stdout);
    expect(report).toMatchObject({
      model: "capstan-tiny",
      capped: false,
      usage: { completion_tokens: report.tokens.length },
    });
    expect(report.text.length).toBeGreaterThan(0);
    const deno = await ended(start(DENO, args));
    expect(deno).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(deno.stdout).tokens).toEqual(report.tokens);
  });

  it("goes on with the assistant's message of a chat, and refuses it without the option", async () => {
    const file = join(scratch, "begun.json");
    const chat = [
      { role: "user", content: "Who are you?" },
      { role: "assistant", content: "I am" },
    ];
    writeFileSync(file, JSON.stringify(chat));
    const args = ["generate", "--messages", file, "--temperature", "0", "--max_tokens", "8", "--json"];
    const refused = await capstan(...args);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("continue_final_message");
    const continued = await capstan(...args, "--continue_final_message");
    expect(continued).toMatchObject({ code: 0, stderr: "" });
    const model = await load("capstan-tiny", { device: "wasm" });
    const options = { temperature: 0, max_tokens: 8 };
    const rendered = model.tokenizer.renderChat(chat, { continue_final_message: true });
    const expected = await generate(model, rendered, { ...options, special: "parse" }).result;
    await model.dispose();
    const { text, usage } = JSON.parse(continued.stdout);
    expect([text, usage.prompt_tokens]).toEqual([expected.text, expected.usage.prompt_tokens]);
  });

  it("says once, on stderr, what is odd about a model, and names it in the JSON", async () => {
    const folder = join(scratch, "odd");
    mkdirSync(folder);
    for (const file of ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]) {
      symlinkSync(join(root, "models/capstan-tiny", file), join(folder, file));
    }
    writeFileSync(join(folder, "generation_config.json"), '{"top_k": -1, "temperature": 0}');
    const args = ["generate", "--prompt", "Hello", "--max_tokens", "2", "--model", folder];
    const said = "generation_config.json has top_k -1 where a whole number from 0 is meant: ignored.";
    const json = await capstan(...args, "--json");
    expect(json).toMatchObject({ code: 0, stderr: `capstan: ${said}\n` });
    expect(JSON.parse(json.stdout)).toMatchObject({ warnings: [said], device: { dtype: "bf16" } });
    const text = await capstan(...args);
    expect(text).toEqual({
      code: 0,
      stderr: `capstan: ${said}\n`,
      stdout: `${JSON.parse(json.stdout).text}\n`,
    });
  });

  it("streams to people what it gives to machines", async () => {
    const args = [
      "generate",
      "--prompt",
      "Hello",
      "--temperature",
      "0.7",
      "--seed",
      "5",
      "--max_tokens",
      "16",
    ];
    const text = await capstan(...args);
    const json = await capstan(...args, "--json");
    expect(text.stdout).toBe(`${JSON.parse(json.stdout).text}\n`);
  });

  it("tells what the machine offers", async () => {
    const { code, stdout } = await capstan("doctor", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ wasm: { simd: true }, auto: { device: "wasm" } });
  });
});

describe.each([
  ["Ctrl-C", "SIGINT", 130],
  ["SIGTERM", "SIGTERM", 143],
] as const)("%s", (_, signal, exit_code) => {
  it(`ends a chat that waits for a line with ${exit_code}`, async () => {
    const child = spawn(NODE[0]!, [...NODE.slice(1), "chat"], { cwd: root, stdio: ["pipe", "pipe", "pipe"] });
    const over = ended(child);
    await new Promise((resolve) => child.stdout.once("data", resolve));
    child.kill(signal);
    expect((await over).code).toBe(exit_code);
  });

  it(`ends collect with ${exit_code} and files that a second call completes`, async () => {
    const out = join(scratch, signal);
    const args = ["collect", "--out", out, "--limit", "6", "--max_tokens", "24", "--json"];
    const child = start(NODE, args);
    const over = ended(child);
    await untilLines(join(out, "responses.jsonl"), 64);
    child.kill(signal);
    const first = await over;
    expect(first.code).toBe(exit_code);
    expect(JSON.parse(first.stdout)).toMatchObject({ error: { code: "aborted" } });
    expect(readdirSync(out).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    const kept = lines(join(out, "responses.jsonl")).length;

    const second = await capstan(...args);
    expect(second.code).toBe(0);
    const { responses } = JSON.parse(second.stdout);
    expect(responses).toBeGreaterThan(kept);
    const keys = lines(join(out, "responses.jsonl")).map((line) => JSON.parse(line).key);
    expect(new Set(keys).size).toBe(responses);
  });
});

function lines(path: string): string[] {
  return readFileSync(path, "utf8").split("\n").filter(Boolean);
}

/** Waits until a file has so many lines; the child writes it while it runs. */
async function untilLines(path: string, n: number): Promise<void> {
  for (;;) {
    try {
      if (lines(path).length >= n) return;
    } catch {
      // not there yet
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
