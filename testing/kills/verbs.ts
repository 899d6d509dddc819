import { cpSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { collect, fit, load, Run } from "../../sdk/index.ts";
import { sha256 } from "../../sdk/platform/index.ts";
import {
  completion,
  ruleOf,
  type StubEndpoint,
  stubEndpoint,
} from "../../sdk/science/judge/fixtures/stub.ts";

/** A verb that goes on where it was ended. */
export interface KilledVerb {
  /** Puts into the folder what the verb needs there. */
  prepare?(folder: string): Promise<void>;
  /** The command's arguments, for the files in a folder. */
  args(folder: string): string[];
  /** What the folder holds once the verb is done, by name, whatever order it came there in. */
  contents(folder: string): Promise<Map<string, string>>;
}

/** Some twenty roles of the embedded model, so that a shard is full every second or so. */
const COLLECT = ["collect", "--roles", "0:20", "--limit", "10", "--max_tokens", "8", "--seed", "3"];

/** Each response with its activation and score, what was skipped, and the axis that is fitted to it all. */
async function runContents(folder: string): Promise<Map<string, string>> {
  const run = await Run.open(folder);
  const found = new Map<string, string>();
  for await (const { activation: _, ...record } of run.read()) found.set(record.key, JSON.stringify(record));
  const size = run.manifest.n_layers * run.manifest.d_model;
  for await (const { responses, data } of run.activations()) {
    for (const [i, { key }] of responses.entries()) {
      const row = data.slice(i * size, (i + 1) * size);
      found.set(`activation of ${key}`, await sha256(new Uint8Array(row.buffer)));
    }
  }
  for (const [key, score] of run.scores) found.set(`score of ${key}`, JSON.stringify(score));
  for (const one of run.skipped) found.set(`skipped ${one.key ?? one.role}`, JSON.stringify(one));
  for (const warning of run.warnings) found.set(`warning ${warning}`, warning);
  found.set("axis", await sha256((await fit(run, { min_count: 1 })).toBytes()));
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** An endpoint that answers by rule, now soon and now late, and a run whose responses nobody has scored. */
let judging: Promise<{ stub: StubEndpoint; run: string }> | undefined;
let stub_url = "";

async function prepareJudging(): Promise<{ stub: StubEndpoint; run: string }> {
  const stub = await stubEndpoint(({ prompt }, i) => (exchange) => {
    setTimeout(() => completion(exchange, ruleOf(prompt)), (i * 13) % 29);
  });
  stub_url = stub.url;
  const folder = mkdtempSync(join(tmpdir(), "capstan-kills-run-"));
  const roles = Array.from({ length: 12 }, (_, i) => {
    const instruction = [{ pos: `You are number ${i}.` }, { pos: `Answer as number ${i} would.` }];
    return [`number${i}`, { instruction, eval_prompt: `Number ${i}? {question} {answer}` }] as const;
  });
  const model = await load("capstan-tiny", { device: "wasm" });
  const questions = Array.from({ length: 8 }, (_, i) => `What is ${i}?`);
  await collect(model, {
    roles: Object.fromEntries(roles),
    questions,
    judge: null,
    max_tokens: 4,
    out: folder,
  });
  await model.dispose();
  return { stub, run: folder };
}

/** The scores line by line, their ends too, and every file that there is beside them. */
async function scoreContents(folder: string): Promise<Map<string, string>> {
  const found = await runContents(folder);
  found.set("scores.jsonl", readFileSync(join(folder, "scores.jsonl"), "utf8"));
  return found;
}

/** A suite of checks that need a judge, at one place: an evaluation's summary names it. */
let judged_suite = "";

async function prepareEvaluation(): Promise<void> {
  judging ??= prepareJudging();
  await judging;
  if (judged_suite !== "") return;
  judged_suite = join(mkdtempSync(join(tmpdir(), "capstan-kills-suite-")), "judged.jsonl");
  const items = Array.from({ length: 12 }, (_, i) => ({
    id: i,
    messages: [{ role: "user", content: `What is ${i} plus four?` }],
    max_tokens: 8,
    check: { kind: "judge", prompt: `Item ${i}: {question} {answer}`, min: 1 },
  }));
  writeFileSync(judged_suite, items.map((item) => JSON.stringify(item)).join("\n"));
}

/** Every file byte for byte: an evaluation's replies stand in the order of its prompts. */
function textsIn(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  const files = names.filter((name) => statSync(join(folder, name)).isFile());
  return new Map(files.map((name) => [name, readFileSync(join(folder, name), "latin1")]));
}

export const KILLED_VERBS = {
  collect: {
    args: (folder) => [...COLLECT, "--out", join(folder, "run"), "--json"],
    contents: (folder) => runContents(join(folder, "run")),
  },
  judge: {
    prepare: async (folder) => {
      judging ??= prepareJudging();
      cpSync((await judging).run, join(folder, "run"), { recursive: true });
    },
    args: (folder) => [
      "judge",
      join(folder, "run"),
      ...["--judge", stub_url, "--judge_model", "m", "--judge_concurrency", "4", "--json"],
    ],
    contents: (folder) => scoreContents(join(folder, "run")),
  },
  evaluate: {
    prepare: prepareEvaluation,
    args: (folder) => [
      ...["evaluate", "--uncapped", "--suites", judged_suite, "dev"],
      ...["--limit", "5", "--concurrency", "6"],
      ...["--judge", stub_url, "--judge_model", "m", "--judge_concurrency", "4"],
      ...["--out", join(folder, "replies"), "--json"],
    ],
    contents: async (folder) => textsIn(join(folder, "replies")),
  },
} as const satisfies Record<string, KilledVerb>;

export type KilledVerbName = keyof typeof KILLED_VERBS;
