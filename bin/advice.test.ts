import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** What a newcomer gets wrong: one line each, with what to do about it. */

const root = join(import.meta.dirname, "..");
const scratch = mkdtempSync(join(tmpdir(), "capstan-advice-"));
afterAll(() => rmSync(scratch, { recursive: true }));
const at = (name: string) => join(scratch, name);

function capstan(line: string, input = "") {
  const { status, stdout, stderr } = spawnSync(
    "sh",
    ["-c", `${process.execPath} ${root}/bin/capstan.mjs ${line}`],
    {
      cwd: scratch,
      encoding: "utf8",
      input,
      timeout: 60_000,
    },
  );
  return { status, stdout, stderr: stderr.replace(/^capstan: building .*\n/m, "") };
}

const role = JSON.stringify({ instruction: [{ pos: "You are a wizard." }] });

beforeAll(() => {
  expect(capstan("collect --limit 2 --max_tokens 2 --judge all --out run").status).toBe(0);
  expect(capstan("fit run --min_count 1").status).toBe(0);
  for (const copy of ["shardless", "cut", "locked"]) cpSync(at("run"), at(copy), { recursive: true });
  rmSync(at("shardless/activations/000000.safetensors"));
  truncateSync(at("cut/manifest.json"), 100);
  mkdirSync(at("locked/lock"));
  mkdirSync(at("evaluation"));
  writeFileSync(at("evaluation/evaluation.json"), '{"format": "caps');
  // A model that brings no experiment of its own.
  mkdirSync(at("plain"));
  for (const file of ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
    symlinkSync(join(root, "models/capstan-tiny", file), at(`plain/${file}`));
  const folders: Record<string, Record<string, string>> = {
    roles: { wizard: role },
    mixed: { wizard: role, bad: "{}" },
    bad: { bad: "{}", worse: "{}" },
    no_default: { wizard: role, default: "{}", bad: "{}" },
  };
  for (const [folder, files] of Object.entries(folders)) {
    mkdirSync(at(folder));
    for (const [name, text] of Object.entries(files)) writeFileSync(at(`${folder}/${name}.json`), text);
  }
  writeFileSync(at("q.jsonl"), '\n{"question": "Who?"}\n');
  writeFileSync(at("empty"), "");
  const chat = (who: string, text: string) =>
    JSON.stringify([
      { role: who, content: text },
      { role: "assistant", content: "b" },
      { role: "user", content: "c" },
    ]);
  writeFileSync(at("wizard.json"), chat("wizard", "hello"));
  writeFileSync(at("long.json"), chat("user", "hello ".repeat(300)));
}, 60_000);

describe("a mistake", () => {
  it.each<[line: string, status: number, message: RegExp]>([
    [
      "collect --model ./plain",
      2,
      /need roles: .*--roles FOLDER --questions FILE\.jsonl .*examples\/experiment/,
    ],
    ["collect --model ./plain --roles roles", 2, /need questions: .*--roles FOLDER --questions FILE\.jsonl/],
    [
      "collect --roles roles --limit 1",
      1,
      /judge responses as "wizard".*--judge URL --judge_model NAME.*--judge all/,
    ],
    [
      "collect --roles mixed --judge all",
      1,
      /mixed\/bad\.json.*--skip_bad_roles\) goes on with the others\.$/,
    ],
    ["collect --roles bad --judge all", 1, /bad\/bad\.json: need instruction.*Also bad: worse\.$/],
    [
      "collect --roles bad --judge all --skip_bad_roles",
      1,
      /bad\/bad\.json: need instruction.*Also bad: worse\.$/,
    ],
    [
      "collect --roles no_default --judge all",
      1,
      /no_default\/default\.json: need instruction.*Also bad: bad\.$/,
    ],
    [
      "collect --questions q.jsonl",
      1,
      /q\.jsonl line 2: need an id of its own.*\{"id":0,"question":"Who\?"\}/,
    ],
    [
      "project wizard.json",
      2,
      /roles that the chat template knows.*found "wizard" in message 0\. What the model is to/,
    ],
    ["generate --messages wizard.json", 2, /roles that the chat template knows.*found "wizard" in message 0/],
    [
      "project long.json --window 3",
      1,
      /at most 3 tokens.*Give a larger window \(--window\), up to the model's n_ctx/,
    ],
    [
      "project long.json --n_ctx 200",
      1,
      /at most 200 tokens.*Load the model with a larger n_ctx \(--n_ctx\)/,
    ],
    [
      "cap empty",
      1,
      /read empty: need a file such as axis\.safetensors, found an empty one\. An axis is what/,
    ],
    [
      "generate hi --cap empty",
      1,
      /read empty: need a file such as cap\.safetensors, found an empty one\. Caps are/,
    ],
    ['generate ""', 2, /need a prompt, found an empty text\. A shell makes that/],
    ["generate -", 2, /need a prompt, found an empty text/],
    [
      "fit cut",
      1,
      /manifest\.json of cut: need JSON, found text that is cut.* Put back a copy of the file, or collect/,
    ],
    ["judge locked --judge all", 1, /lock locked\/lock: need no folder of that name, found one\. Remove it/],
    [
      "evaluate --uncapped --suites dev --out evaluation",
      1,
      /evaluation\.json of evaluation: .*Put back a copy/,
    ],
    ["fit shardless --min_count 1", 1, /000000\.safetensors: need the shard.*Collect again/],
    ["demo --limit 0", 2, /--limit <n>.*A whole number from 1 is needed/],
  ])("is one line with a remedy: %s", (line, status, message) => {
    const found = capstan(line);
    expect(found.stderr).toMatch(new RegExp(message.source, "m"));
    expect(found.stderr.match(/^(capstan|error):/gm)).toHaveLength(1);
    expect(found.status).toBe(status);
  });

  it("of a conversation is said in a chat, which goes on", () => {
    const { status, stderr } = capstan("chat", "/load wizard.json\n");
    expect([status, stderr]).toEqual([0, expect.stringMatching(/^capstan: \/load wizard\.json: need roles/)]);
  });
});
