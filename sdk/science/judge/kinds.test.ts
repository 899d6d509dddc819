import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { ROLES } from "../../../testing/fakes/fake_experiment.ts";
import { calls } from "../../../testing/fakes/fake_model.ts";
import { fit as fitAxis } from "../axis/fit.ts";
import { collect } from "../collect/collect.ts";
import { planCollect } from "../collect/plan_collect.ts";
import { Run } from "../run/run.ts";
import { memoryStore } from "../run/store.ts";
import { ruleOf, stubEndpoint } from "./fixtures/stub.ts";
import { COLLECT, model, N, unscoredRun, WITH_PROMPTS } from "./fixtures/unscored.ts";
import { type JudgeFunction, judge } from "./index.ts";

const scratch = mkdtempSync(join(tmpdir(), "capstan-judge-"));
afterAll(() => rmSync(scratch, { recursive: true }));
afterEach(() => {
  calls.generate = 0;
});

describe("two judges", () => {
  it("are never mixed: fit goes by one, and asks which", async () => {
    const { run, files } = await unscoredRun();
    const strict: JudgeFunction = ({ text }) => (text.length % 2 === 0 ? 3 : 2);
    await judge(run, { judge: "all" });
    const alone = (await fitAxis(run, { min_count: 1 })).toBytes();
    const abort = new AbortController();
    const on_progress = ({ done }: { done: number }) => void (done === 7 && abort.abort());
    await expect(judge(run, { judge: strict, signal: abort.signal, on_progress })).rejects.toThrow();
    const [all, other] = run.judges;
    expect([all, run.scoresOf(all!).size]).toEqual(["all", N]);
    await expect(fitAxis(run, { min_count: 1 })).rejects.toThrow(
      `need scores of one judge, for those of two are not mixed, found 2: all (${N} of ${N} responses), ${other} (7 of ${N} responses). Choose one by judge_id (--judge_id).`,
    );
    expect((await fitAxis(run, { min_count: 1, judge_id: "all" })).toBytes()).toEqual(alone);
    await expect(fitAxis(run, { judge_id: "nobody" })).rejects.toThrow(
      /need scores of the judge "nobody", found those of all/,
    );
    await judge(run, { judge: strict });
    // As it stands in the file, too.
    const again = await Run.open(memoryStore(files));
    for await (const response of again.read()) {
      if (response.role === "default") continue;
      expect(again.scoresOf(other!).get(response.key)!.score).toBe(strict(response));
    }
    expect(again.scoresOf("all").size).toBe(N);
  });

  it("two functions are two, by their text; one of them asked again is the same", async () => {
    const { run } = await unscoredRun();
    let asked = 0;
    const one: JudgeFunction = () => {
      asked += 1;
      return 3;
    };
    const ids = [];
    for (const input of [one, one, () => 2, () => 1, { id: "mine", score: () => ({ score: 3 }) }]) {
      await judge(run, { judge: input });
      ids.push(run.judges.at(-1));
    }
    expect(asked).toBe(N);
    expect(ids[0]).toMatch(/^one-[0-9a-f]{8}$/);
    expect(new Set(ids).size).toBe(4);
    expect(ids[4]).toBe("mine");
  });

  it("what a function throws, or forgets to say, is one error of ours", async () => {
    const { run } = await unscoredRun();
    const throws = judge(run, {
      judge: () => {
        throw new Error("boom");
      },
    });
    await expect(throws).rejects.toMatchObject({
      code: "judge",
      message: expect.stringContaining('found an error, "boom"'),
    });
    await expect(judge(run, { judge: (() => {}) as never })).rejects.toThrow(
      /0, 1, 2 or 3, or null for none, found undefined/,
    );
    await judge(run, { judge: ({ role }) => (role === "role01" ? null : 3) });
    expect([...run.scores.values()].filter(({ score }) => score === null).length).toBe(9);
  });
});

describe("a judge in a file", () => {
  it("is scores by key: those that lack are counted as without one", async () => {
    const { run } = await unscoredRun();
    const keys = [...run.responses.keys()].filter((key) => !key.startsWith("default"));
    const path = join(scratch, "mine.jsonl");
    writeFileSync(
      path,
      keys
        .slice(2)
        .map((key, i) => `${JSON.stringify({ key, score: i % 4 })}\n`)
        .join(""),
    );
    await judge(run, { judge: path });
    expect(run.judges[0]).toMatch(/^mine\.jsonl-[0-9a-f]{8}$/);
    expect(run.scores.get(keys[5]!)!.score).toBe(3);
    expect(run.scores.get(keys[0]!)).toMatchObject({ score: null, error: `no score of this key in ${path}` });
    for (const [text, message] of [
      ['{"key": "a", "score": 4}', /0 to 3 or null \}, one a key, found/],
      ['{"key": "a", "score": 1}\n{"key": "a", "score": 2}', /score 2\).*one a key/],
      ["prose", /mine\.jsonl line 1: need JSON, found "prose"/],
    ] as const) {
      writeFileSync(path, text);
      await expect(judge(run, { judge: path })).rejects.toThrow(message);
    }
  });

  it("is code: a function, or a judge with an id of its own", async () => {
    const { run, texts } = await unscoredRun();
    const path = join(scratch, "my_judge.mjs");
    writeFileSync(path, "export function judge({ text }) { return text.length % 4; }");
    await judge(run, { judge: path });
    expect(run.judges[0]).toMatch(/^my_judge\.mjs-[0-9a-f]{8}$/);
    for (const { key, score } of run.scores.values()) expect(score).toBe(texts.get(key)!.length % 4);
    const other = join(scratch, "other.mjs");
    writeFileSync(other, 'export default { id: "theirs", score: () => ({ score: 1 }) };');
    await judge(run, { judge: other });
    expect(run.judges[1]).toBe("theirs");
    const empty = join(scratch, "empty.mjs");
    writeFileSync(empty, "export const nothing = 1;");
    await expect(judge(run, { judge: empty })).rejects.toThrow(
      /need an export judge: .* found exports nothing/,
    );
    const broken = join(scratch, "broken.mjs");
    writeFileSync(broken, "export const =");
    await expect(judge(run, { judge: broken })).rejects.toThrow(/need a module that loads, found \w+Error: /);
    await expect(judge(run, { judge: join(scratch, "absent.mjs") })).rejects.toThrow(/found no such file/);
  });
});

describe("collect", () => {
  it("warns before it starts that nothing will score the responses", async () => {
    const said: string[] = [];
    const { judge: _, ...options } = COLLECT;
    const begun = () => calls.generate;
    let at_warning = -1;
    const on_warning = (text: string) => {
      said.push(text);
      at_warning = begun();
    };
    await collect(model, { ...options, limit: 1, on_warning });
    expect(said).toEqual([expect.stringContaining("nothing will score these responses")]);
    expect(at_warning).toBe(0);
    await collect(model, { ...options, limit: 1, judge: null, on_warning });
    await collect(model, { ...options, limit: 1, judge: "all", on_warning });
    expect(said.length).toBe(1);
  });

  it("judges by an endpoint as it goes along, to what judging afterwards gives", async () => {
    await using stub = await stubEndpoint(({ prompt }) => ruleOf(prompt));
    const endpoint = { url: stub.url, model: "m" };
    const together = new Map<string, Uint8Array>();
    await collect(model, { ...COLLECT, judge: endpoint, out: memoryStore(together) });
    const apart = await unscoredRun();
    await judge(apart.run, { judge: endpoint });
    expect(together.get("scores.jsonl")).toEqual(apart.files.get("scores.jsonl"));
  });

  it("generates nothing where roles lack a judge prompt, or the key is wrong", async () => {
    await using stub = await stubEndpoint(() => "3");
    const endpoint = { url: stub.url, model: "m", retries: 0 };
    const some = { ...WITH_PROMPTS, role04: ROLES.role04!, role09: ROLES.role09! };
    await expect(collect(model, { ...COLLECT, roles: some, judge: endpoint })).rejects.toThrow(
      /found none for 2 of 14: role04, role09/,
    );
    await stub[Symbol.asyncDispose]();
    await expect(collect(model, { ...COLLECT, judge: endpoint })).rejects.toMatchObject({ code: "network" });
    expect(calls.generate).toBe(0);
  });

  it("plans what it would make and ask", async () => {
    await using stub = await stubEndpoint(() => "3");
    const endpoint = { url: stub.url, model: "m" };
    const store = memoryStore();
    const options = { ...COLLECT, judge: endpoint, out: store };
    const plan = await planCollect(model, options);
    expect(plan).toMatchObject({
      missing: N + 15,
      there: 0,
      judge: { calls: N, scored: 0, unknown_answers: N },
    });
    expect(plan.judge!.example!.prompt).toBe(
      "As role00? how are you / (a response of up to 32 tokens) / 0 to 3",
    );
    expect([calls.generate, stub.server.requests.length, await store.size("manifest.json")]).toEqual([
      0,
      0,
      undefined,
    ]);
    await collect(model, { ...options, limit: 3 });
    expect(await planCollect(model, options)).toMatchObject({
      missing: N + 15 - 15 * 3,
      there: 45,
      judge: { calls: N - 14 * 3, scored: 14 * 3, unknown_answers: N - 14 * 3 },
    });
    expect(await planCollect(model, { ...COLLECT })).toMatchObject({ judge: null });
  });

  it("keeps the judge prompts for later in the manifest", async () => {
    const { files } = await unscoredRun();
    const manifest = JSON.parse(Buffer.from(files.get("manifest.json")!).toString());
    expect(manifest.judge_prompts.role06).toBe("As role06? {question} / {answer} / 0 to 3");
  });
});

it("is refused while somebody else writes to the run", async () => {
  const { files } = await unscoredRun();
  const held = await Run.open(memoryStore(files), { write: true });
  await expect(judge(memoryStore(files), { judge: "all" })).rejects.toThrow(
    /need no other call at work on it/,
  );
  expect(files.has("scores.jsonl")).toBe(false);
  await judge(held, { judge: "all" });
  await held.release();
  await judge(memoryStore(files), { judge: () => 3 });
  expect((await Run.open(memoryStore(files), { write: true })).judges.length).toBe(2);
});
