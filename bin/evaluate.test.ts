import { type ChildProcess, spawn } from "node:child_process";
import {
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
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Caps, load } from "../sdk/index.ts";
import { stubEndpoint } from "../sdk/science/judge/fixtures/stub.ts";

const root = join(import.meta.dirname, "..");
const scratch = mkdtempSync(join(tmpdir(), "capstan-evaluate-"));
const cap_file = join(scratch, "x.cap.safetensors");
afterAll(() => rmSync(scratch, { recursive: true }));

/** Caps along some direction: what they do is no matter here. */
beforeAll(async () => {
  await using model = await load("capstan-tiny", { device: "wasm" });
  const { n_layers, d_model } = model.spec;
  const layers = Int32Array.from([2, 3]);
  const caps = new Caps({
    model: { id: model.id, digest: model.digest },
    n_layers,
    d_model,
    layers,
    vectors: Float32Array.from({ length: 2 * d_model }, (_, i) => Math.sin(i * i)),
    floors: Float32Array.from([3, 3]),
    ceilings: new Float32Array(2).fill(Number.POSITIVE_INFINITY),
    percentile: null,
    of: "axis",
  });
  await caps.save(cap_file);
});

function start(args: readonly string[]): ChildProcess {
  const command = ["bin/capstan.mjs", "evaluate", ...args];
  return spawn(process.execPath, command, { cwd: root, stdio: "pipe" });
}

async function ended(child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> {
  let [stdout, stderr] = ["", ""];
  child.stdout!.on("data", (data) => (stdout += data));
  child.stderr!.on("data", (data) => (stderr += data));
  return await new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

const evaluate = (...args: string[]) => ended(start(args));

function linesIn(folder: string): number {
  try {
    return readFileSync(join(folder, "replies.jsonl"), "utf8").split("\n").length - 1;
  } catch {
    return 0;
  }
}

const textsIn = (folder: string) =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")]));

describe("capstan evaluate", () => {
  it("resumes after kill -9 at any instant, to the bytes of an unbroken evaluation", async () => {
    const args = ["--suites", "dev", "--limit", "5", "--cap", cap_file, "--controls", "0"];
    const unbroken = join(scratch, "unbroken");
    const whole = await evaluate(...args, "--out", unbroken, "--json");
    expect(whole.code).toBe(0);
    const total = linesIn(unbroken);
    expect(total).toBeGreaterThan(60);

    const killed = join(scratch, "killed");
    // A few replies further each time, and at no line's end in particular.
    for (const share of [0.1, 0.4, 0.8]) {
      const child = start([...args, "--out", killed, "--concurrency", "6"]);
      const over = ended(child);
      while (child.exitCode === null && linesIn(killed) < share * total) await setTimeout(1);
      child.kill("SIGKILL");
      await over;
      expect(linesIn(killed)).toBeLessThan(total);
    }
    const again = await evaluate(...args, "--out", killed, "--json");
    expect(again.code).toBe(0);
    expect(textsIn(killed)).toEqual(textsIn(unbroken));
    expect(JSON.parse(again.stdout)).toEqual({ ...JSON.parse(whole.stdout), out: killed });
  });

  it("takes a folder of suites of any name, and prints a line for each", async () => {
    const folder = join(scratch, "suites");
    mkdirSync(folder);
    const messages = [{ role: "user", content: "What is three plus four?" }];
    const line = (check: object) => `${JSON.stringify({ id: "x", messages, check })}\n`;
    writeFileSync(join(folder, "sums.jsonl"), line({ kind: "only_number", value: "7" }));
    writeFileSync(join(folder, "manners.jsonl"), line({ kind: "regex", pattern: "(a+)+b" }));
    const { code, stdout, stderr } = await evaluate("--suites", folder, "--uncapped");
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^ {2}manners +1 {2}\d+ % \[\d+, \d+\] +- +-$/m);
    expect(stdout).toMatch(/^ {2}sums +1 /m);
  });

  it("reads a suite from stdin", async () => {
    const messages = [{ role: "user", content: "What is three plus four?" }];
    const child = start(["--uncapped", "--suites", "-", "--json"]);
    child.stdin!.end(JSON.stringify({ id: "x", messages, check: { kind: "only_number", value: "7" } }));
    const { code, stdout, stderr } = await ended(child);
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout).suites).toMatchObject({ stdin: { uncapped: { n: 1 } } });
  });

  it("has an endpoint judge replies, which are kept with its scores", async () => {
    await using stub = await stubEndpoint(({ prompt }) =>
      prompt.startsWith("How kind") ? "3" : "no number",
    );
    const path = join(scratch, "judged.jsonl");
    const item = (id: string, prompt: string) => ({
      id,
      messages: [{ role: "user", content: "My cat is ill." }],
      check: { kind: "judge", prompt, min: 2 },
    });
    const items = [item("kind", "How kind is {answer}?"), item("odd", "Is {answer} odd?")];
    writeFileSync(path, items.map((one) => JSON.stringify(one)).join("\n"));
    const out = join(scratch, "judged");
    const args = ["--suites", path, "--uncapped", "--out", out, "--json"];
    const judging = ["--judge", stub.url, "--judge_model", "m", "--judge_max_tokens", "7"];
    const judged = await evaluate(...args, ...judging);
    expect([judged.code, judged.stderr]).toEqual([0, ""]);
    const { suites, judge } = JSON.parse(judged.stdout);
    expect(judge).toMatch(/^m@127/);
    expect(suites.judged).toMatchObject({ uncapped: { rate: 1, n: 1 }, unjudged: 1 });
    expect(stub.asked.map(({ body }) => body.max_tokens)).toEqual([7, 7]);
    // All of it is there: nothing is asked again.
    expect(JSON.parse((await evaluate(...args, ...judging)).stdout)).toEqual(JSON.parse(judged.stdout));
    expect(stub.asked.length).toBe(2);
    const without = await evaluate(...args);
    expect([without.code, without.stderr]).toEqual([
      2,
      expect.stringMatching(/need a judge, for item kind .*--judge URL/),
    ]);
    const all = await evaluate(...args, "--judge", "all");
    expect([all.code, all.stderr]).toEqual([
      2,
      expect.stringMatching(/need the URL of an endpoint for --judge/),
    ]);
  });

  it.each([
    [
      "an unknown check",
      [{ check: { kind: "sings" } }],
      /line 1 \("x"\): need check\.kind to be "contains" or/,
    ],
    ["a doubled id", [{}, {}], /line 2: need an id of its own in suite "bad", found "x"/],
    ["a broken regex", [{ check: { kind: "regex", pattern: "[" } }], /need check\.pattern to be a regular/],
    ["an empty suite", [], /need at least one item/],
    ["a prompt that is too long", [{ messages: [{ role: "user", content: "a b ".repeat(2000) }] }], /n_ctx/],
  ])("refuses %s in one line, before it generates", async (_, items, message) => {
    const path = join(scratch, "bad.jsonl");
    const whole = {
      id: "x",
      messages: [{ role: "user", content: "Hi" }],
      check: { kind: "contains", value: "x" },
    };
    writeFileSync(path, items.map((item) => JSON.stringify({ ...whole, ...item })).join("\n"));
    const out = join(scratch, "none");
    const { code, stdout, stderr } = await evaluate("--suites", path, "--uncapped", "--out", out, "--json");
    expect(code).toBe(1);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).toMatch(message);
    expect(JSON.parse(stdout).error.message).toMatch(message);
    expect(linesIn(out)).toBe(0);
  });

  it("says what makes an axis where the model brings nothing along", async () => {
    const model = join(scratch, "plain");
    mkdirSync(model);
    for (const file of ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
      symlinkSync(join(root, "models/capstan-tiny", file), join(model, file));
    const suite = join(root, "models/capstan-tiny/evaluate/dev.jsonl");
    const { code, stderr } = await evaluate("--model", model, "--suites", suite);
    expect(code).toBe(2);
    expect(stderr).toMatch(/need an axis .*capstan collect, capstan fit and capstan cap make them/);
    const named = await evaluate("--model", model);
    expect(named.stderr).toMatch(/need a file or a folder of suites, or a name in the model's capstan\.json/);
  });
});
