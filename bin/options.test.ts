import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Command, Option } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCli } from "../sdk/cli/index.ts";
import { type StubEndpoint, stubEndpoint } from "../sdk/science/judge/fixtures/stub.ts";
import { VERBS } from "./capstan.ts";

const root = join(import.meta.dirname, "..");
const tiny = join(root, "models/capstan-tiny");

const scratch = mkdtempSync(join(tmpdir(), "capstan-options-"));
afterAll(() => rmSync(scratch, { recursive: true }));
const file = (name: string) => join(scratch, name);

const MODEL = "--device wasm --dtype f32 --n_ctx 900";
const SAMPLING =
  "--temperature 0.5 --top_k 9 --top_p 0.9 --min_p 0.01 --repetition_penalty 1.1 --frequency_penalty 0.1 --presence_penalty 0.1 --seed 3 --stop END --stop_token_ids 5 --max_tokens 4";

const JUDGE =
  "--judge URL --judge_model m --judge_concurrency 3 --judge_rate 500 --judge_timeout 30 --judge_retries 2 --judge_temperature 0.5 --judge_max_tokens 20";
const COLLECT = `${MODEL} --roles ROLES 0:6 --questions QUESTIONS 0:6 --samples 1 --limit 12 --max_tokens 8 --seed 2 --temperature 0.7 --top_p 0.8 --questions_per_role 9 --questions_per_instruction 3 --model_name Nova --template_args {"x":1} --layers 0:8 --concurrency 9 --skip_bad_roles`;

/** Calls that work, one after the other, in a folder of their own; what one writes a later one reads. */
const CALLS = [
  `collect ${COLLECT} ${JUDGE} --out run --dry_run --json`,
  `collect ${COLLECT} ${JUDGE} --out run --json`,
  `judge run ${JUDGE} --roles ROLES --dry_run --json`,
  `judge run ${JUDGE} --roles ROLES --json`,
  "judge run --judge all --json",
  "fit run --judge_id all --min_count 1 --target_layer 3 --out axis.safetensors --json",
  "cap axis.safetensors --layers 2:4 --percentile 30 --out cap.safetensors --json",
  `generate ${MODEL} ${SAMPLING} --prompt Hi --system Yo --cap cap.safetensors --logprobs --json`,
  "generate --prompt Hi --raw --special text --max_tokens 2",
  `chat ${MODEL} ${SAMPLING} --system Yo --cap cap.safetensors --axis axis.safetensors --json`,
  `project chat.json ${MODEL} --axis axis.safetensors --layer 2 --threshold 1 --window 500 --json`,
  `project chat.json --axis axis.safetensors --cap cap.safetensors --layer 2 --threshold 1 --json`,
  "plot persona-space axis.safetensors --layer 2 --out space.svg --json",
  "plot drift drift.json --capped drift.json --title smol --out drift.svg --json",
  `evaluate ${MODEL} --suites dev --limit 1 --controls 1 --axis axis.safetensors --cap cap.safetensors --json`,
  `evaluate ${MODEL} --uncapped --suites judged.jsonl --concurrency 4 ${JUDGE} --out replies --json`,
  "evaluate --model RECIPE --suites dev --limit 1 --controls 0 --run evaluated --json",
  `demo ${MODEL} ${JUDGE} --roles ROLES --questions QUESTIONS --responses 2 --max_tokens 6 --limit 1 --out demo --json`,
  "bench --start_up --rounds 1 --json",
  "conformance CASE --device wasm --dtype f32 --runtime here --explain --report cases.html --junit cases.xml --json",
].map((call) => call.split(" "));

/** Test files that call the command with options. */
const TESTS = [
  "bench/verb.test.ts",
  "bin/capstan.test.ts",
  "bin/chat.test.ts",
  "bin/memory.test.ts",
  "bin/pull.test.ts",
  "conformance/check/cli.test.ts",
  "conformance/distance/distance.test.ts",
  "conformance/report/diff.test.ts",
  "conformance/report/make.test.ts",
  "conformance/report/report.test.ts",
  "conformance/report/table.test.ts",
  "edge-worker/cli/serve.test.ts",
].map((path) => readFileSync(join(root, path), "utf8"));

function commandsOf(command: Command, path: readonly string[] = []): { path: string; command: Command }[] {
  return command.commands.flatMap((one) => {
    const own = [...path, one.name()];
    return [{ path: own.join(" "), command: one }, ...commandsOf(one, own)];
  });
}

const commands = commandsOf(await createCli(VERBS, []));
const options = commands.flatMap(({ path, command }) =>
  command.options.map((option) => ({ name: `${path} ${option.long}`, path, command, option })),
);

/** Whether a test calls this verb with this option, in either spelling. */
function isTried(path: string, option: Option): boolean {
  const verb = path.split(" ").at(-1)!;
  const flag = option.long!.replaceAll(/(?<=\w)[-_]/g, "[-_]");
  const calls = CALLS.filter((call) => call[0] === path && call.includes(option.long!));
  if (calls.length > 0) return true;
  return TESTS.some(
    (text) => new RegExp(`"${verb}"`).test(text) && new RegExp(`["\\s]${flag}["=\\s]`).test(text),
  );
}

/** Roles with a prompt for a judge, as a run by an endpoint needs them. */
function writeRoles(folder: string): void {
  mkdirSync(folder);
  for (const role of ["actor", "baker", "clerk", "diver", "envoy", "fencer"]) {
    const instruction = [{ pos: `You are a ${role}.` }, { pos: `Answer as a ${role} would.` }];
    const eval_prompt = `Is it a ${role}? {question} {answer}`;
    writeFileSync(join(folder, `${role}.json`), JSON.stringify({ instruction, eval_prompt }));
  }
}

/** The embedded model with a recipe that is soon done. */
function writeModel(folder: string): void {
  mkdirSync(folder);
  const files = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
  for (const name of [...files, "roles", "questions.jsonl", "judge.json", "evaluate"])
    symlinkSync(join(tiny, name), join(folder, name));
  const recipe = JSON.parse(readFileSync(join(tiny, "capstan.json"), "utf8"));
  const small = { ...recipe.collect, max_tokens: 16, min_count: 1, questions_per_instruction: 1 };
  writeFileSync(join(folder, "capstan.json"), JSON.stringify({ ...recipe, collect: small }));
}

describe("calls that work", () => {
  let stub: StubEndpoint;
  beforeAll(async () => {
    stub = await stubEndpoint(() => "3");
    writeRoles(file("roles"));
    writeModel(file("recipe"));
    writeFileSync(file("chat.json"), '[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yo"}]');
    const turn = { turn: 1, role: "assistant", tokens: 3, projection: 2, drift: 0, alert: false };
    writeFileSync(file("drift.json"), JSON.stringify({ layer: 2, threshold: 1, turns: [turn] }));
    const check = { kind: "judge", prompt: "Is {answer} kind?", min: 2 };
    const item = { id: "x", messages: [{ role: "user", content: "Hi" }], max_tokens: 4, check };
    writeFileSync(file("judged.jsonl"), JSON.stringify(item));
  });
  afterAll(() => stub[Symbol.asyncDispose]());

  it.each(CALLS.map((call) => [call.join(" "), call] as const))("%s", async (_, call) => {
    const given: Record<string, string> = {
      ROLES: file("roles"),
      RECIPE: file("recipe"),
      CASE: join(root, "conformance/reference/llama-tied"),
      QUESTIONS: join(tiny, "questions.jsonl"),
      URL: stub.url,
    };
    const args = [join(root, "bin/capstan.mjs"), ...call.map((arg) => given[arg] ?? arg)];
    const child = spawn(process.execPath, args, { cwd: scratch });
    child.stdin.end("Hello\n");
    const closed = new Promise<number | null>((resolve) => child.on("close", resolve));
    const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
    expect(code, stderr).toBe(0);
    if (call.includes("--json")) expect(JSON.parse(stdout)).not.toHaveProperty("error");
  });
});

describe("every option of every verb", () => {
  it("is there to be looked at", () => {
    expect(commands.map(({ path }) => path)).toEqual(
      expect.arrayContaining(["chat", "plot", "conformance make"]),
    );
    expect(options.length).toBeGreaterThan(80);
  });

  it("is in --help, with its default where it takes a value", () => {
    const wrong = options.filter(({ command, option }) => {
      const help = command.helpInformation().replaceAll(/\s+/g, " ");
      const says =
        option.mandatory || /default/.test(option.description) || option.defaultValue !== undefined;
      return !help.includes(option.flags) || !(option.isBoolean() || says);
    });
    expect(wrong.map(({ name }) => name)).toEqual([]);
  });

  it("is given to its verb by a test", () => {
    const untried = options.filter(({ path, option }) => !isTried(path, option)).map(({ name }) => name);
    expect(untried).toEqual([]);
  });
});
