import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Run, readAxis } from "../sdk/index.ts";

const root = join(import.meta.dirname, "..");
const scratch = mkdtempSync(join(tmpdir(), "capstan-collect-"));
afterAll(() => rmSync(scratch, { recursive: true }));

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

function capstan(...args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, ["bin/capstan.mjs", ...args], { cwd: root });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data) => (stdout += data));
  child.stderr.on("data", (data) => (stderr += data));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

/** Roles and questions of one's own, two files of which are bad. */
const roles = join(scratch, "roles");
const questions = join(scratch, "questions.jsonl");
const plain = join(scratch, "plain");
beforeAll(() => {
  mkdirSync(roles);
  mkdirSync(plain);
  for (const file of ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]) {
    symlinkSync(join(root, "models/capstan-tiny", file), join(plain, file));
  }
  for (const name of ["baker", "miner", "piper", "tiler"]) {
    const instruction = [{ pos: `You are a ${name}.` }, { pos: `{model_name} is a ${name}.` }];
    writeFileSync(join(roles, `${name}.json`), JSON.stringify({ instruction }));
  }
  writeFileSync(join(roles, "broken.json"), "{");
  const texts = ["Who are you?", "What is bread?", "Where is the river?", "too long ".repeat(800), "Why?"];
  writeFileSync(
    questions,
    texts.map((question, id) => JSON.stringify({ id: `q${id}`, question })).join("\n"),
  );
});

/** A run of a model that has no roles of its own, nor a judge. */
async function collect(out: string, ...args: string[]): Promise<Ended> {
  return await capstan(
    "collect",
    "--model",
    plain,
    "--out",
    join(scratch, out),
    ...args,
    "--max_tokens",
    "4",
    "--json",
  );
}

let said: Promise<string> | undefined;
function help(): Promise<string> {
  said ??= capstan("collect", "--help").then(({ stdout }) => stdout.replace(/\s+/g, " "));
  return said;
}

describe("capstan collect", () => {
  it("shows each option with its default", async () => {
    const text = await help();
    for (const [option, shown] of [
      ["--roles <from...>", "(default: all of the model's own)"],
      ["--skip_bad_roles", "(default: the first is an error)"],
      ["--questions <from...>", "(default: all of the model's own)"],
      ["--questions_per_role <n>", "(default: all)"],
      ["--questions_per_instruction <n>", "(default: the model's recipe, else all)"],
      ["--samples <n>", "else 1)"],
      ["--limit <n>", "(default: no limit)"],
      ["--temperature <t>", "else 0.7)"],
      ["--top_p <p>", "else 0.9)"],
      ["--max_tokens <n>", "else 512)"],
      ["--seed <n>", "else 0)"],
      ["--model_name <name>", "(default: the family's name"],
      ["--template_args <json>", '(default: {"enable_thinking": false} where it has that switch)'],
      ["--layers <layers>", "(default: all)"],
      ["--concurrency <n>", "(default: 64)"],
      ["--out <folder>", '(default: "run")'],
    ] as const) {
      const at = text.indexOf(option);
      expect(at, option).toBeGreaterThan(0);
      expect(text.slice(at, text.indexOf(" --", at + 3)), option).toContain(shown);
    }
  });

  it("reads questions from stdin", async () => {
    const args = ["--roles", "pirate", "--questions", "-", "--limit", "1", "--max_tokens", "2", "--json"];
    const child = spawn(
      process.execPath,
      ["bin/capstan.mjs", "collect", ...args, "--out", join(scratch, "in")],
      {
        cwd: root,
      },
    );
    child.stdin.end('{"id": "mine", "question": "Who?"}');
    const code = await new Promise((resolve) => child.on("close", resolve));
    const run = await Run.open(join(scratch, "in"));
    expect([code, [...run.responses.keys()].sort()]).toEqual([
      0,
      ["default_p0_qmine_s0", "pirate_p0_qmine_s0"],
    ]);
  });

  it("takes some roles, questions and layers, notes what does not fit, and goes on", async () => {
    const { code, stdout, stderr } = await collect(
      "some",
      ...["--roles", roles, "baker,piper", "--questions", questions, "0:2", "q3"],
      ...["--layers", "2:4,6", "--concurrency", "3", "--model_name", "Nova", "--template_args", '{"x": 1}'],
      ...["--samples", "2", "--seed", "4", "--temperature", "0.2", "--top_p", "0.8"],
    );
    expect([code, stderr.includes("internal")], stderr).toEqual([0, false]);
    const { responses, skipped, warnings } = JSON.parse(stdout);
    // Two roles of two prompts and the default's five.
    expect([responses, skipped.length, warnings]).toEqual([2 * 2 * 9, 2 * 9, []]);
    expect(skipped[0]).toMatchObject({ role: "default", question: "q3", code: "context_overflow" });
    const run = await Run.open(join(scratch, "some"));
    expect(run.manifest).toMatchObject({
      layers: [2, 3, 6],
      model_name: "Nova",
      template_args: { x: 1 },
      seed: 4,
      sampling: { temperature: 0.2, top_p: 0.8, max_tokens: 4, samples: 2 },
      questions: [{ id: "q0" }, { id: "q1" }, { id: "q3" }],
    });
    expect(Object.keys(run.manifest.roles)).toEqual(["default", "baker", "piper"]);
    const named = (await run.response("baker_p1_qq0_s1"))!;
    expect(named.messages[0]!.content).toBe("Nova is a baker.");
    expect(
      readFileSync(join(scratch, "some", "skipped.jsonl"), "utf8")
        .trim()
        .split("\n"),
    ).toHaveLength(18);
  });

  it("names a bad role and ends, or leaves it out on request and says so", async () => {
    const given = ["--roles", roles, "--questions", questions, "--questions_per_role", "1", "--limit", "2"];
    const refused = await collect("bad", ...given);
    expect(refused.code).toBe(1);
    expect(JSON.parse(refused.stdout).error.message).toContain(
      `read ${join(roles, "broken.json")}: need JSON`,
    );
    const went_on = await collect("bad", ...given, "--skip_bad_roles");
    expect(went_on.code).toBe(0);
    const bad = JSON.parse(went_on.stdout).skipped.filter(({ key }: { key?: string }) => key === undefined);
    expect(bad).toMatchObject([{ role: "broken", code: "bad_file" }]);
  });

  it("fits an axis of the layers that were kept", async () => {
    const out = join(scratch, "own");
    const collected = await capstan(
      ...[
        "collect",
        "--out",
        out,
        "--roles",
        "0:6",
        "--questions_per_instruction",
        "1",
        "--questions",
        "0:8",
      ],
      ...["--layers", "3:6", "--max_tokens", "8", "--limit", "8", "--json"],
    );
    expect(collected.code).toBe(0);
    const axis_file = join(scratch, "own.safetensors");
    const fitted = await capstan("fit", out, "--min_count", "1", "--out", axis_file);
    expect(fitted).toMatchObject({ code: 0, stdout: expect.stringContaining("Persona space at layer 4") });
    expect((await readAxis(axis_file)).layers).toEqual([3, 4, 5]);
  });

  it.each([
    [["--layers", "6:2"], 2, "Layers are needed, such as 8:16"],
    [["--layers", "9"], 2, "need a layer of 0 to 7, found 9"],
    [["--template_args", "[1]"], 2, "A JSON object is needed"],
    [["--roles", "nobody"], 2, 'found "nobody"'],
    [["--roles", "no/such/folder"], 2, "need a folder of <role>.json at no/such/folder"],
    [["--questions", "a.jsonl", "b.jsonl"], 2, "need --questions with one file, found a.jsonl b.jsonl"],
    [["--questions", "0:9000"], 2, "need questions within 0:"],
    [["--concurrency", "0"], 2, "need concurrency to be a whole number from 1"],
    [["--questions_per_role", "0"], 2, "need questions_per_role to be a whole number from 1"],
  ])("refuses %j", async (args, expected, message) => {
    const { code, stderr } = await capstan("collect", "--out", join(scratch, "refused"), ...args);
    expect([code, stderr]).toEqual([expected, expect.stringContaining(message)]);
  });
});
