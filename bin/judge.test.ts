import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { failed, ruleOf, type StubEndpoint, stubEndpoint } from "../sdk/science/judge/fixtures/stub.ts";

const root = join(import.meta.dirname, "..");
const scratch = mkdtempSync(join(tmpdir(), "capstan-bin-judge-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const KEY = "sk-stub-abcdefghij";
const ROLES = ["captain", "clerk", "ghost", "pirate"];

/** What npm tells the programs that it starts would name another way to call this one. */
const ENV = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^npm_|^INIT_CWD$|^CAPSTAN_JUDGE/.test(name)),
);

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

function start(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const command = [join(root, "bin/capstan.mjs"), ...args];
  return spawn(process.execPath, command, {
    cwd: scratch,
    env: { ...ENV, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** A line as somebody types it. */
function typed(line: string): Promise<Ended> {
  return ended(spawn("sh", ["-c", line], { cwd: scratch, env: ENV, stdio: ["ignore", "pipe", "pipe"] }));
}

function ended(child: ChildProcess): Promise<Ended> {
  let [stdout, stderr] = ["", ""];
  child.stdout!.on("data", (data) => (stdout += data));
  child.stderr!.on("data", (data) => (stderr += data));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

const capstan = (...args: string[]) => ended(start(args));

/** The command that a verb says comes next. */
function nextOf({ stdout, stderr }: Ended): string {
  const next = /^Next: (.+)$/m.exec(stdout)?.[1];
  if (next === undefined) throw new Error(`no next command: ${stdout}\n${stderr}`);
  return next;
}

/** A chat model of no recipe, in a folder of an awkward name; roles and questions of one's own. */
const model = join(scratch, "it's my model");
mkdirSync(model);
for (const file of ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]) {
  symlinkSync(join(root, "models/capstan-tiny", file), join(model, file));
}
mkdirSync(join(scratch, "roles"));
for (const role of ROLES) {
  const instruction = [{ pos: `You are a ${role}.` }, { pos: `Answer as a ${role} would.` }];
  const eval_prompt = `Is it a ${role}? {question} {answer} Say 0 to 3.`;
  writeFileSync(join(scratch, "roles", `${role}.json`), JSON.stringify({ instruction, eval_prompt }));
}
const questions = ["Who are you?", "What is law?", "Where do you live?", "Who is your friend?"];
const lines = questions.map((question, id) => `${JSON.stringify({ id, question })}\n`);
writeFileSync(join(scratch, "q.jsonl"), lines.join(""));
const N = ROLES.length * 2 * questions.length;
const COLLECT = [
  "collect",
  "--model",
  "./it's my model",
  "--roles",
  "roles",
  "--questions",
  "q.jsonl",
  "--max_tokens",
  "6",
];

/** A run of its own, unscored, collected once. */
async function unscoredRun(out: string): Promise<string> {
  await unscored;
  const { code } = await typed(`cp -r pristine '${out}'`);
  expect(code).toBe(0);
  return out;
}
const unscored = capstan(...COLLECT, "--out", "the run").then(async (collected) => {
  await typed("cp -r 'the run' pristine");
  return collected;
});

const against = ({ url }: StubEndpoint) => ["--judge", url, "--judge_model", "m", "--judge_concurrency", "4"];
const scoresIn = (run: string) => readFileSync(join(scratch, run, "scores.jsonl"), "utf8");

describe("the next command", () => {
  it("works as printed, from an unscored run of a model of one's own to a capped chat", async () => {
    const collected = await unscored;
    expect(collected).toMatchObject({ code: 0 });
    expect(collected.stderr).toContain("nothing will score these responses, and fit goes by scores.");
    const judged = await typed(nextOf(collected));
    expect(judged).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`scores by all: 3: ${N}, 2: 0`),
    });
    expect(nextOf(judged)).toMatch(/ fit 'the run' --min_count 8$/);
    const fitted = await typed(nextOf(judged));
    expect(fitted.code).toBe(0);
    const capped = await typed(nextOf(fitted));
    expect(capped.stdout).toMatch(/^caps on layers 6:7 at percentile 25/);
    expect(nextOf(capped)).toMatch(/ chat --model '\.\/it'\\''s my model' --cap cap\.safetensors$/);
    expect(await typed(`echo Hello | ${nextOf(capped)}`)).toMatchObject({ code: 0 });
  });

  it("carries on the precision that one asked for, and a warning says where another is used", async () => {
    const files = ["--out", "in q8"];
    expect(await capstan(...COLLECT, ...files, "--dtype", "q8", "--judge", "all")).toMatchObject({ code: 0 });
    const axis = ["--out", "q8.axis.safetensors"];
    expect(await capstan("fit", "in q8", "--min_count", "1", ...axis)).toMatchObject({ code: 0 });
    const capped = await capstan("cap", "q8.axis.safetensors", "--out", "q8.cap.safetensors");
    const next = nextOf(capped);
    expect(next).toMatch(/ chat --model .* --dtype q8 --cap q8\.cap\.safetensors$/);
    expect((await typed(`echo Hello | ${next} --max_tokens 2`)).stderr).toBe("");
    const other = await typed(
      `printf 'Hello\\n/drift q8.axis.safetensors\\n' | ${next.replace("--dtype q8", "")} --max_tokens 2`,
    );
    expect(other.stderr).toMatch(
      /^capstan: the axis was measured with weights in q8, and .* runs in bf16.*--dtype q8.*\n$/,
    );
  });

  it("of a demo on a model of one's own works as printed; the demo says how much it does", async () => {
    const demo = await capstan("demo", "--model", "./it's my model", "--judge", "all", "--out", "the demo");
    expect(demo).toMatchObject({ code: 0 });
    expect(demo.stdout).toContain("Collecting 39 replies of at most 24 tokens");
    expect(demo.stdout).toContain("--roles 0:45 --responses 20 --max_tokens 128 would make more of it");
    expect(await typed(`echo Hello | ${nextOf(demo)}`)).toMatchObject({ code: 0 });
    const more = ["--roles", "pirate,clerk", "--responses", "2", "--max_tokens", "3", "--json"];
    const own = await capstan("demo", "--model", model, "--judge", "all", "--out", "the demo", ...more);
    expect(JSON.parse(own.stdout)).toMatchObject({ collected: { responses: 6, roles: 3 } });
  });

  it("names the roles that were left out, and why, in text and JSON", async () => {
    const run = await unscoredRun("left");
    await using stub = await stubEndpoint(({ prompt }) => {
      return prompt.includes("a ghost?") ? "Boo!" : prompt.includes("a clerk?") ? "2" : "3";
    });
    const judged = await capstan("judge", run, ...against(stub));
    expect(judged.stdout).toMatch(
      /^scores by m@127\.0\.0\.1:\d+\/v1#\w+: 3: 16, 2: 8, 1: 0, 0: 0, none: 8$/m,
    );
    expect(judged.stdout).toContain(
      "8 responses got no score from the judge: what it said is kept in left/scores.jsonl",
    );
    const fitted = await typed(nextOf(judged));
    expect(fitted.stdout).toContain("left out, 2 of 4 roles:");
    expect(fitted.stdout).toContain("  clerk: 0 of its 8 responses fully in role, 8 needed");
    expect(fitted.stdout).toContain(
      "  ghost: 0 of its 8 responses fully in role, 8 needed; 8 that the judge gave no score",
    );
    const { left_out, judge } = JSON.parse((await typed(`${nextOf(judged)} --json`)).stdout);
    expect(judge).toMatch(/^m@/);
    expect(left_out).toMatchObject([
      { role: "clerk", count: 0, responses: 8, scored: 8, unscored: 0 },
      { role: "ghost", count: 0, responses: 8, scored: 0, unscored: 8 },
    ]);
    // A second judge: the next command says whose scores count.
    const again = await capstan("judge", run, "--judge", "all");
    expect(nextOf(again)).toContain("--judge_id all");
    expect(await typed(nextOf(again))).toMatchObject({ code: 0 });
    expect(JSON.parse((await capstan("judge", run, "--judge", "all", "--json")).stdout)).toMatchObject({
      judge: "all",
    });
    const first = await capstan("judge", run, ...against(stub), "--json");
    expect(JSON.parse(first.stdout)).toMatchObject({
      judge,
      unscored: 8,
      next: expect.stringContaining(judge),
    });
    const mixed = await capstan("fit", run, "--min_count", "8");
    expect([mixed.code, mixed.stderr]).toEqual([
      2,
      expect.stringMatching(/found 2: m@.* \(24 of 32 responses\), all \(32 of 32/),
    ]);
  });
});

describe("capstan judge", () => {
  it("shows every option with its default", async () => {
    for (const verb of ["judge", "collect"]) {
      const { stdout } = await capstan(verb, "--help");
      const text = stdout.replace(/\s+/g, " ");
      for (const [option, said] of [
        ["judge", "CAPSTAN_JUDGE_KEY"],
        ["judge_model", "the endpoint's model"],
        ["judge_concurrency", "(default: 16)"],
        ["judge_rate", "(default: no limit)"],
        ["judge_timeout", "(default: 60)"],
        ["judge_retries", "(default: 8)"],
        ["judge_temperature", "default: 1, as published"],
        ["judge_max_tokens", "(default: 10, as published"],
        ["dry_run", "ask nothing"],
      ]) {
        expect(text).toContain(`--${option}`);
        expect(text).toContain(said);
      }
    }
  });

  it("goes by every option, and the key of the environment is nowhere to be seen", async () => {
    const run = await unscoredRun("options");
    await using stub = await stubEndpoint(({ prompt }) => ruleOf(prompt));
    const args = ["judge", run, ...against(stub), "--json", "--judge_rate", "500", "--judge_timeout", "30"];
    const more = [
      "--judge_retries",
      "2",
      "--judge_temperature",
      "0",
      "--judge_max_tokens",
      "99",
      "--roles",
      "roles",
    ];
    const result = await ended(start([...args, ...more], { CAPSTAN_JUDGE_KEY: KEY }));
    expect(result).toMatchObject({ code: 0, stderr: "" });
    const report = JSON.parse(result.stdout);
    expect(report).toMatchObject({ run, unscored: 0, judges: [report.judge] });
    expect(Object.values(report.scores as Record<string, number>).reduce((a, b) => a + b, 0)).toBe(N);
    expect(stub.asked[0]).toMatchObject({ key: KEY, body: { temperature: 0, max_tokens: 99 } });
    expect(result.stdout + scoresIn(run)).not.toContain(KEY);
  });

  it("says what it would ask, and asks nothing", async () => {
    const run = await unscoredRun("dry");
    await using stub = await stubEndpoint(() => "3");
    const { code, stdout } = await capstan("judge", run, ...against(stub), "--dry_run");
    expect(code).toBe(0);
    expect(stdout).toContain(`${N} calls, 0 responses scored already`);
    expect(stdout).toMatch(/by role: captain 8, clerk 8, ghost 8, pirate 8/);
    expect(stdout).toContain("Is it a captain? Who are you? ");
    const { calls } = JSON.parse(
      (await capstan("judge", run, ...against(stub), "--dry_run", "--json")).stdout,
    );
    expect([calls, stub.server.requests.length]).toEqual([N, 0]);
    const planned = await capstan(...COLLECT, "--out", "nowhere", ...against(stub), "--dry_run");
    expect(planned.stdout).toContain(`${N + 20} responses to generate, 0 are there\njudge m@`);
    expect(stub.server.requests.length).toBe(0);
    expect((await typed("ls nowhere")).code).not.toBe(0);
  });

  it.each([
    [
      ["judge", "the run"],
      2,
      /need --judge URL --judge_model NAME, --judge all, or --judge FILE, found no --judge/,
    ],
    [
      ["judge", "the run", "--judge", "http://127.0.0.1:1/v1"],
      2,
      /need --judge_model NAME beside the endpoint/,
    ],
    [
      ["judge", "the run", "--judge", "all", "--judge_rate", "3"],
      2,
      /need --judge URL beside --judge_rate, found --judge all/,
    ],
    [
      ["judge", "no run", "--judge", "all"],
      1,
      /need manifest\.json, found none\. `capstan collect --out RUN` writes one/,
    ],
    [["fit", "no run"], 1, /`capstan collect --out RUN` writes one/],
  ])("refuses %j in one line", async (args, code, message) => {
    await unscored;
    const result = await capstan(...args);
    expect([result.code, result.stdout]).toEqual([code, ""]);
    expect(result.stderr).toMatch(message);
    expect(result.stderr.trim().split("\n").length).toBe(1);
  });

  it("stops at once for a wrong key, which is not shown; roles without a prompt are named", async () => {
    const run = await unscoredRun("locked");
    await using stub = await stubEndpoint(() => failed(401, `Incorrect key ${KEY}`));
    const result = await ended(start(["judge", run, ...against(stub)], { CAPSTAN_JUDGE_KEY: KEY }));
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(
      /need a key that it accepts, found status 401 for the key that was sent\. Set CAPSTAN_JUDGE_KEY/,
    );
    expect(result.stdout + result.stderr).not.toContain(KEY);
    expect(stub.asked.length).toBeLessThanOrEqual(4);
    mkdirSync(join(scratch, "bare"));
    writeFileSync(join(scratch, "bare", "pirate.json"), '{"instruction": [{"pos": "You are a pirate."}]}');
    const bare = await capstan(
      "collect",
      "--model",
      model,
      "--roles",
      "bare",
      "--questions",
      "q.jsonl",
      ...against(stub),
    );
    expect(bare.stderr).toMatch(/need an eval_prompt .* found none for 1 of 1: pirate\./);
  });

  it("goes on, killed at any instant, to the bytes of an unbroken run, and asks next to nothing twice", async () => {
    let kill_at = Number.POSITIVE_INFINITY;
    let child: ChildProcess | undefined;
    await using stub = await stubEndpoint(({ prompt }, i) => (exchange) => {
      if (i >= kill_at) child?.kill("SIGKILL");
      const body = JSON.stringify({ choices: [{ message: { content: ruleOf(prompt) } }] });
      setTimeout(() => exchange.response.writeHead(200).end(body), (i * 13) % 29);
    });
    const unbroken = await unscoredRun("unbroken");
    expect((await capstan("judge", unbroken, ...against(stub))).code).toBe(0);
    const run = await unscoredRun("killed");
    const kills = Array.from({ length: 3 }, () => 2 + Math.floor(Math.random() * (N / 4)));
    const began = stub.asked.length;
    for (const after of kills) {
      kill_at = stub.asked.length + after;
      child = start(["judge", run, ...against(stub)]);
      expect((await ended(child)).code).toBe(null);
    }
    kill_at = Number.POSITIVE_INFINITY;
    expect((await capstan("judge", run, ...against(stub))).code).toBe(0);
    expect(scoresIn(run), `killed after ${kills.join(", ")} requests`).toBe(scoresIn(unbroken));
    // Asked again: the eight requests in flight at each kill. A request holds its place until its score is on the disk.
    expect(stub.asked.length - began).toBeLessThanOrEqual(N + 3 * 8);
  });
});
