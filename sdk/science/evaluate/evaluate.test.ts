import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  ask,
  asked,
  axis,
  caps,
  judge,
  judged,
  model,
  ODD,
  options,
  SUITES,
  TOTAL,
  textsOf,
} from "../../../testing/fakes/fake_evaluation.ts";
import { OPTIONS } from "../../../testing/fakes/fake_experiment.ts";
import { calls, fakeModel } from "../../../testing/fakes/fake_model.ts";
import { Caps, cap } from "../caps/caps.ts";
import { memoryStore } from "../run/store.ts";
import { evaluate } from "./evaluate.ts";
import type { EvaluateOptions } from "./options.ts";
import type { ReplyJudge } from "./reply_judge.ts";

const FILES = ["evaluation.json", "judgements.jsonl", "replies.jsonl", "summary.json"];
const whole_files = new Map<string, Uint8Array>();
const whole = await evaluate(model, { ...options, out: memoryStore(whole_files) });
const expected = textsOf(whole_files);

beforeEach(() => {
  calls.generate = 0;
  calls.fail_after = Number.POSITIVE_INFINITY;
  asked.length = 0;
});

describe("an evaluation", () => {
  it("has rates of suites of any name, group by group", () => {
    expect(Object.keys(whole.suites)).toEqual(["leaks", ODD]);
    const { leaks } = whole.suites;
    expect(leaks).toMatchObject({ uncapped: { rate: 1, n: 12 }, capped: { rate: 0, n: 12 }, unjudged: 0 });
    expect(leaks!.paired).toEqual({ only_uncapped: 12, only_capped: 0 });
    expect(leaks!.control!.n).toBe(24);
    expect(leaks!.groups).toMatchObject({ first: { uncapped: { n: 4 } }, rest: { capped: { n: 8 } } });
  });

  it("counts an item when all its checks pass, and leaves out what has no score", () => {
    const { uncapped, capped, unjudged } = whole.suites[ODD]!;
    expect(uncapped).toMatchObject({ rate: 1, n: 1 });
    expect(capped).toMatchObject({ rate: 0, n: 1 });
    expect(unjudged).toBe(4);
    expect(whole.judge).toBe("letters");
  });

  it("keeps each reply with its prompt, condition and the verdict of each check", () => {
    const lines = expected["replies.jsonl"]!.trim().split("\n");
    expect(lines).toHaveLength(TOTAL);
    const { checksum, ...first } = JSON.parse(lines[12]!);
    expect(checksum).toMatch(/^[0-9a-f]{8}$/);
    expect(first).toEqual({
      suite: ODD,
      item: "both",
      group: "all",
      condition: "uncapped",
      prompt: ask("the secret?"),
      reply: "the code is amber lynx 7",
      tokens: 24,
      finish_reason: "stop",
      passed: true,
      checks: [
        { kind: "regex", passed: true },
        { kind: "not_contains", passed: true },
        { kind: "judge", passed: true, score: 3, judge: "letters" },
      ],
    });
    const conditions = new Set(lines.map((line) => JSON.parse(line).condition));
    expect([...conditions]).toEqual(["uncapped", "capped", "control 0", "control 1"]);
    expect(JSON.parse(expected["summary.json"]!).suites).toEqual(whole.suites);
  });

  it("asks the judge the item's prompt, filled in once", async () => {
    const message = { role: "user", content: "{answer} of the secret" };
    const item = { id: "x", messages: [message], check: judged };
    await evaluate(model, { suites: [item], caps: null, judge });
    expect(asked).toEqual(["Asked {answer} of the secret: i cannot share that"]);
  });

  it("asks the model alone where caps are null", async () => {
    const result = await evaluate(model, { suites: SUITES.slice(0, 2), caps: null });
    expect(result).toMatchObject({ axis: null, cap: null, out: null, judge: null });
    expect(Object.keys(result.suites.leaks!)).toEqual(["uncapped", "unjudged", "groups"]);
  });

  it("needs no axis for caps without controls, and says what makes one where it is needed", async () => {
    const plain = fakeModel();
    const result = await evaluate(plain, { suites: SUITES.slice(0, 1), caps });
    expect(result.axis).toBeNull();
    expect(result.suites.leaks!.capped).toMatchObject({ rate: 0 });
    await expect(evaluate(plain, { suites: SUITES.slice(0, 1) })).rejects.toThrow(
      /need an axis .*capstan collect, capstan fit and capstan cap make them/,
    );
  });

  it("refuses before it generates: a prompt that is too long, a check without its judge", async () => {
    const long = { id: "long", messages: ask("x".repeat(200)), check: SUITES[0]!.check };
    await expect(
      evaluate(fakeModel({ n_ctx: 100 }), { ...options, suites: [...SUITES, long] }),
    ).rejects.toMatchObject({
      code: "context_overflow",
      message: expect.stringMatching(
        /^evaluate item long of suite suite: need a prompt of at most 99 tokens/,
      ),
    });
    const { judge: _, ...without } = options;
    await expect(evaluate(model, without)).rejects.toThrow(/need a judge, for item both of suite __proto__/);
    await expect(evaluate(model, { ...options, judge: { id: "x" } as never })).rejects.toThrow(
      /judge to be an endpoint \{ url, model \} or a judge \{ id, score \}/,
    );
    expect(calls.generate).toBe(0);
  });

  it("refuses what a judge should not say", async () => {
    const broken: ReplyJudge = { id: "broken", score: () => "3" as never };
    await expect(evaluate(model, { ...options, judge: broken })).rejects.toMatchObject({
      code: "judge",
      message: expect.stringContaining('need a number, or null for none, found "3"'),
    });
  });
});

describe("an evaluation in a folder", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "capstan-evaluate-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function contents(): Promise<Record<string, string>> {
    const names = await readdir(folder);
    const texts = names.map(async (name) => [name, await readFile(join(folder, name), "utf8")] as const);
    return Object.fromEntries(await Promise.all(texts));
  }

  it("has the files of one in memory, and does nothing the second time", async () => {
    const result = await evaluate(model, { ...options, out: folder });
    expect((await readdir(folder)).sort()).toEqual(FILES);
    expect(result).toEqual({ ...whole, out: folder });
    expect(await contents()).toEqual(expected);
    calls.generate = 0;
    asked.length = 0;
    expect(await evaluate(model, { ...options, out: folder })).toEqual(result);
    expect([calls.generate, asked.length]).toEqual([0, 0]);
    expect(await contents()).toEqual(expected);
  });

  it("goes on after a failure of the model or of the judge with nothing lost", async () => {
    calls.fail_after = 20;
    await expect(evaluate(model, { ...options, out: folder, concurrency: 4 })).rejects.toThrow("killed");
    const kept = (await readFile(join(folder, "replies.jsonl"), "utf8")).trim().split("\n").length;
    expect(kept).toBeGreaterThanOrEqual(20 - 4);
    calls.fail_after = Number.POSITIVE_INFINITY;
    calls.generate = 0;
    const away: ReplyJudge = {
      ...judge,
      concurrency: 1,
      score: (question) => {
        if (asked.length === 3) throw new Error("the endpoint is away");
        return judge.score(question);
      },
    };
    await expect(evaluate(model, { ...options, judge: away, out: folder })).rejects.toThrow("is away");
    expect(calls.generate).toBe(TOTAL - kept);
    asked.length = 0;
    await evaluate(model, { ...options, out: folder });
    expect([calls.generate, asked.length]).toEqual([TOTAL - kept, 8 - 3]);
    expect(await contents()).toEqual(expected);
  });

  it("another judge judges by itself: scores of two are not mixed", async () => {
    await evaluate(model, { ...options, out: folder });
    calls.generate = 0;
    const strict: ReplyJudge = { id: "strict", score: () => 1 };
    const { suites } = await evaluate(model, { ...options, judge: strict, out: folder });
    expect(calls.generate).toBe(0);
    expect(suites[ODD]).toMatchObject({ uncapped: { rate: 0, n: 2 }, unjudged: 0 });
    await evaluate(model, { ...options, out: folder });
    expect((await contents())["replies.jsonl"]).toBe(expected["replies.jsonl"]);
  });

  it("takes more suites, more controls and a larger limit, and generates what is new", async () => {
    await evaluate(model, { ...options, suites: SUITES.slice(0, 12), controls: 0, limit: 2, out: folder });
    calls.generate = 0;
    const result = await evaluate(model, { ...options, out: folder });
    expect(calls.generate).toBe(TOTAL - 2 * 2 * 2);
    expect(result).toEqual({ ...whole, out: folder });
    expect(await contents()).toEqual(expected);
    // A smaller part counts that part alone, and takes nothing away.
    const part = await evaluate(model, { ...options, limit: 1, out: folder });
    expect(part.suites.leaks!.uncapped.n).toBe(2);
    expect((await contents())["replies.jsonl"]!.trim().split("\n")).toHaveLength(TOTAL);
  });

  it.each<[string, EvaluateOptions, ReturnType<typeof fakeModel>, string, RegExp]>([
    [
      "another model",
      {},
      fakeModel({ digest: "sha256:other" }),
      "digest_mismatch",
      /the model it was begun with, fake \(sha256:fake\)/,
    ],
    [
      "another dtype",
      {},
      Object.assign(fakeModel(), { device: { dtype: "q8" } }),
      "bad_request",
      /need dtype "f32", found "q8"/,
    ],
    [
      "other template arguments",
      { template_args: { enable_thinking: false } },
      model,
      "bad_request",
      /need template_args \{\}/,
    ],
    [
      "another suite of the name",
      { suites: SUITES.slice(1) },
      model,
      "bad_request",
      /need suite "leaks" as it was, 12 items .* found 11 items/,
    ],
    [
      "other caps",
      { caps: cap(axis, { layers: { start: 0, end: 4 }, percentile: 70 }) },
      model,
      "bad_request",
      /need the hooks of condition "capped"/,
    ],
    [
      "caps the other way",
      { caps: new Caps({ ...caps.data, vectors: caps.data.vectors.map((x) => -x) }) },
      model,
      "bad_request",
      /need the hooks of condition "capped"/,
    ],
  ])("is not continued with %s", async (_, change, other, code, message) => {
    await evaluate(model, { ...options, out: folder });
    calls.generate = 0;
    await expect(evaluate(other, { ...options, ...change, out: folder })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect(calls.generate).toBe(0);
    expect(await contents()).toEqual(expected);
  });

  it("repairs a file that was cut, counts a doubled line once, and refuses replies of nobody knows whom", async () => {
    await evaluate(model, { ...options, out: folder });
    const path = join(folder, "replies.jsonl");
    const text = await readFile(path, "utf8");
    const [first] = text.split("\n");
    await writeFile(path, `${text}${first}\n`);
    expect(await evaluate(model, { ...options, out: folder })).toEqual({ ...whole, out: folder });
    expect(await contents()).toEqual(expected);
    await truncate(path, text.length - 11);
    await truncate(join(folder, "judgements.jsonl"), 20);
    await evaluate(model, { ...options, out: folder });
    expect(await contents()).toEqual(expected);
    await writeFile(path, text.replace('"reply":', '"ripley":'));
    const repaired = await evaluate(model, { ...options, out: folder });
    expect(repaired.warnings).toEqual([
      expect.stringContaining("replies.jsonl has 1 damaged line: left out"),
    ]);
    expect(await contents()).toEqual(expected);
    await writeFile(join(folder, "evaluation.json"), "{}");
    await expect(evaluate(model, { ...options, out: folder })).rejects.toThrow(
      /need format "capstan\.evaluation"/,
    );
    await rm(join(folder, "evaluation.json"));
    await expect(evaluate(model, { ...options, out: folder })).rejects.toThrow(/replies\.jsonl without it/);
  });

  it("refuses a second writer, and lets the next one in", async () => {
    // Whichever reaches the folder first is let in.
    const both = [1, 2].map(() => evaluate(model, { ...options, out: folder }));
    const failed = (await Promise.allSettled(both)).filter((one) => one.status === "rejected");
    expect(failed.map(({ reason }) => reason.message)).toEqual([
      expect.stringMatching(/need no other process at work on it/),
    ]);
    await evaluate(model, { ...options, out: folder });
    expect(await contents()).toEqual(expected);
  });

  it("keeps its collection beside the replies, by the model's recipe", async () => {
    const files: Record<string, string> = {
      "capstan.json": JSON.stringify({
        roles: "roles",
        role_names: Object.keys(OPTIONS.roles as object),
        questions: "q.jsonl",
        judge: "judge.json",
        collect: { max_tokens: 32, min_count: 4, seed: 5 },
        cap: { layers: { start: 0, end: 4 }, percentile: 80 },
      }),
      "judge.json": JSON.stringify(OPTIONS.judge),
      "q.jsonl": (OPTIONS.questions as string[])
        .map((question, id) => JSON.stringify({ id, question }))
        .join("\n"),
    };
    for (const [name, role] of Object.entries(OPTIONS.roles as object))
      files[`roles/${name}.json`] = JSON.stringify(role);
    const few = { suites: SUITES.slice(0, 2), controls: 1, out: folder };
    await evaluate(fakeModel({ files }), few);
    expect(await readdir(join(folder, "run"))).toContain("responses.jsonl");
    calls.generate = 0;
    await evaluate(fakeModel({ files }), few);
    expect(calls.generate).toBe(0);
  });
});

it("thinking is off where the template has that switch, unless it is asked for", async () => {
  const thinks = fakeModel({ chat_template: "{% if enable_thinking %}<think>{% endif %}" });
  const argsOf = async (given: Partial<EvaluateOptions>) => {
    const files = new Map<string, Uint8Array>();
    await evaluate(thinks, { ...options, ...given, limit: 1, out: memoryStore(files) });
    return JSON.parse(new TextDecoder().decode(files.get("evaluation.json"))).template_args;
  };
  expect(await argsOf({})).toEqual({ enable_thinking: false });
  expect(await argsOf({ template_args: { enable_thinking: true } })).toEqual({ enable_thinking: true });
});
