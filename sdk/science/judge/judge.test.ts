import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OPTIONS } from "../../../testing/fakes/fake_experiment.ts";
import { fit as fitAxis } from "../axis/fit.ts";
import type { Run } from "../run/run.ts";
import { memoryStore, type RunStore } from "../run/store.ts";
import { type Answer, failed, ruleOf, stubEndpoint } from "./fixtures/stub.ts";
import { linesOf, N, SCORES, template, unscoredRun, WITH_PROMPTS } from "./fixtures/unscored.ts";
import { type Judge, judge, planJudging } from "./index.ts";

describe("judging a run afterwards", () => {
  it("asks every role's own prompt once for each response, never the default's", async () => {
    const { run, files, texts } = await unscoredRun();
    await using stub = await stubEndpoint(({ prompt }) => ruleOf(prompt));
    await judge(run, { judge: { url: stub.url, model: "m" } });
    expect(stub.asked.length).toBe(N);
    const prompts = new Set(stub.asked.map(({ prompt }) => prompt));
    const text = texts.get("role03_p1_q2_s0");
    expect(prompts).toContain(`As role03? tell me a thing / ${text} / 0 to 3`);
    for (const { key, score } of run.scores.values()) {
      const { role, question } = run.responses.get(key)!;
      const asked = OPTIONS.questions![question as never];
      expect(score).toBe(Number(ruleOf(`As ${role}? ${asked} / ${texts.get(key)} / 0 to 3`)));
    }
    expect(linesOf(files)[0]).toEqual({
      key: "role00_p0_q0_s0",
      judge: run.judges[0],
      score: run.scores.get("role00_p0_q0_s0")!.score,
      prompt: expect.stringMatching(/^[0-9a-f]{8}$/),
      reply: String(run.scores.get("role00_p0_q0_s0")!.score),
    });
    // Again: there is nothing left to ask.
    await judge(run, { judge: { url: stub.url, model: "m" } });
    expect(stub.asked.length).toBe(N);
  });

  it("gives the same bytes whichever answers come first, and after any interruption", async () => {
    const bytesAfter = async (work: (run: Run, url: string) => Promise<void>) => {
      const { run, files } = await unscoredRun();
      await using stub = await stubEndpoint(({ prompt }, i) => {
        return (exchange) =>
          void setTimeout(() => exchange.response.writeHead(200).end(chat(ruleOf(prompt))), (i * 7) % 23);
      });
      await work(run, stub.url);
      return Buffer.from(files.get("scores.jsonl")!).toString().replaceAll(new URL(stub.url).host, "host");
    };
    const strip = (text: string) => text.replace(/,"checksum":"\w+"/g, "");
    const unbroken = await bytesAfter(
      async (run, url) => void (await judge(run, { judge: { url, model: "m", concurrency: 1 } })),
    );
    const broken = await bytesAfter(async (run, url) => {
      for (const stop_at of [5, 40, 90]) {
        const abort = new AbortController();
        const stopped = judge(run, {
          judge: { url, model: "m" },
          signal: abort.signal,
          on_progress: ({ done }) => void (done === stop_at && abort.abort()),
        });
        await expect(stopped).rejects.toMatchObject({ code: "aborted" });
        expect(run.scores.size).toBeGreaterThanOrEqual(stop_at);
        expect(run.scores.size).toBeLessThan(N);
      }
      await judge(run, { judge: { url, model: "m" } });
    });
    expect(strip(broken)).toBe(strip(unbroken));
    expect(broken.split("\n").length).toBe(N + 1);
  });

  it("loses at most what was in flight by a kill at any byte of any write", async () => {
    const slow = (seed: number, concurrency = 8): Judge => ({
      id: "slow",
      concurrency,
      async score({ text }) {
        await new Promise((resolve) => setTimeout(resolve, (text.length * seed) % 7));
        return { score: text.length % 4 };
      },
    });
    const { run, files: whole } = await unscoredRun();
    await judge(run, { judge: slow(0) });
    const journal: { kind: "write" | "append"; bytes: Uint8Array }[] = [];
    const inner = memoryStore(new Map(await template));
    const store: RunStore = {
      ...inner,
      write: async (file, data) => {
        await inner.write(file, data);
        journal.push({ kind: "write", bytes: (await inner.read(file))! });
      },
      append: async (file, lines) => {
        journal.push({ kind: "append", bytes: Buffer.from(`${lines}\n`) });
        return await inner.append(file, lines);
      },
    };
    // In order for the most part, so that the lines after a cut may stand where they belong.
    await judge(store, { judge: slow(1, 2) });
    expect(journal.at(-1)!.kind).toBe("write");
    expect(journal.length).toBeGreaterThan(5);
    const total = journal.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const cuts = fc.integer({ min: 0, max: total });
    await fc.assert(
      fc.asyncProperty(cuts, fc.boolean(), async (cut, one_by_one) => {
        const files = new Map(await template);
        let left = cut;
        for (const { kind, bytes } of journal) {
          if (kind === "write" && left < bytes.length) break;
          const part = bytes.subarray(0, left);
          files.set(
            SCORES,
            kind === "write" ? part : Buffer.concat([files.get(SCORES) ?? Buffer.from([]), part]),
          );
          left -= part.length;
          if (left === 0) break;
        }
        await judge(memoryStore(files), { judge: one_by_one ? slow(0, 1) : slow(3) });
        expect(Buffer.from(files.get(SCORES)!).toString()).toBe(Buffer.from(whole.get(SCORES)!).toString());
      }),
      { numRuns: 25 },
    );
  });

  it("keeps and counts what holds no score, and does not ask for it again", async () => {
    const { run, files } = await unscoredRun();
    await using stub = await stubEndpoint(({ prompt }) => (prompt.includes("role05") ? "well, arr?" : "3"));
    const input = { judge: { url: stub.url, model: "m" } };
    await judge(run, input);
    await judge(run, input);
    expect(stub.asked.length).toBe(N);
    const none = linesOf(files).filter((line) => (line as { score: unknown }).score === null);
    expect(none.length).toBe(9);
    expect(none[0]).toMatchObject({ key: "role05_p0_q0_s0", reply: "well, arr?" });
    const axis = await fitAxis(run, { min_count: 9 });
    expect(axis.left_out).toEqual([
      {
        role: "role05",
        count: 0,
        responses: 9,
        scored: 0,
        unscored: 9,
        why: "0 of its 9 responses fully in role, 9 needed; 9 that the judge gave no score",
      },
    ]);
    expect(axis.data.made).toMatchObject({
      judge: run.judges[0],
      scores: { responses: N, scored: N - 9, unscored: 9 },
    });
  });

  it("keeps a response that the endpoint refuses as one without a score, when it takes others", async () => {
    const refuses = ({ prompt }: { prompt: string }): Answer =>
      prompt.includes("role00?") && prompt.includes("new") ? failed(400, "filtered") : "3";
    const { run } = await unscoredRun();
    await using stub = await stubEndpoint(refuses);
    await judge(run, { judge: { url: stub.url, model: "m", concurrency: 2 } });
    const refused = [...run.scores.values()].filter(({ score }) => score === null);
    expect(refused.map(({ key, error }) => [key, error]).sort()).toEqual(
      [0, 1, 2].map((p) => [`role00_p${p}_q1_s0`, "status 400 (filtered)"]),
    );
  });

  it("stops after three where it refuses the first ones of all", async () => {
    const { run } = await unscoredRun();
    await using stub = await stubEndpoint(() => failed(400, "model m is unknown"));
    const judged = judge(run, { judge: { url: stub.url, model: "m", concurrency: 1 } });
    await expect(judged).rejects.toThrow(/need a chat completion, found status 400 \(model m is unknown\)/);
    expect(stub.asked.length).toBe(3);
    expect(run.judges).toEqual([]);
  });

  it("stops at once for a wrong key", async () => {
    const { run } = await unscoredRun();
    await using stub = await stubEndpoint(() => failed(401, "no"));
    const judged = judge(run, {
      judge: { url: stub.url, model: "m", concurrency: 4, api_key: "sk-12345678" },
    });
    await expect(judged).rejects.toMatchObject({ code: "access_denied" });
    expect(stub.asked.length).toBeLessThanOrEqual(4);
  });

  it("asks again for a role whose prompt was changed, and fit waits for the end of that", async () => {
    const { run, files } = await unscoredRun();
    await using stub = await stubEndpoint(() => "3");
    const endpoint = { url: stub.url, model: "m", concurrency: 1 };
    await judge(run, { judge: endpoint });
    const roles = { ...WITH_PROMPTS, role02: { ...WITH_PROMPTS.role02!, eval_prompt: "New: {answer}" } };
    const abort = new AbortController();
    const on_progress = ({ done }: { done: number }) => void (done === N - 4 && abort.abort());
    await expect(judge(run, { judge: endpoint, roles, signal: abort.signal, on_progress })).rejects.toThrow();
    await expect(fitAxis(run, { min_count: 1 })).rejects.toThrow(
      /scores of role02 under one judge prompt, found 2 prompts/,
    );
    await judge(run, { judge: endpoint, roles });
    expect(stub.asked.length).toBe(N + 9);
    expect(linesOf(files).length).toBe(N);
    await fitAxis(run, { min_count: 1 });
  });

  it("says what it would ask and how much, and asks nothing", async () => {
    const { run, files } = await unscoredRun();
    await using stub = await stubEndpoint(() => "3");
    const before = new Map(files);
    const plan = await planJudging(run, { judge: { url: stub.url, model: "m" } });
    expect(stub.server.requests).toEqual([]);
    expect(files).toEqual(before);
    expect(plan).toMatchObject({ calls: N, scored: 0, reply_tokens: N * 10 });
    expect(plan.roles.role07).toBe(9);
    await judge(run, { judge: { url: stub.url, model: "m" } });
    expect(stub.asked[0]!.prompt).toBe(plan.example!.prompt);
    expect(stub.asked.reduce((sum, { prompt }) => sum + prompt.length, 0)).toBe(plan.characters);
    expect(await planJudging(run, { judge: { url: stub.url, model: "m" } })).toMatchObject({
      calls: 0,
      scored: N,
    });
    expect(await planJudging(run, { judge: "all" })).toMatchObject({ calls: 0, example: null });
  });

  it("wants a judge", async () => {
    const { run } = await unscoredRun();
    await expect(judge(run, {} as never)).rejects.toThrow(/need a judge: \{ url, model \}, "all"/);
    await expect(judge(run, { judge: "http://h/v1" })).rejects.toThrow(/need the model to ask there/);
    await expect(judge(run, { judge: "vibes" })).rejects.toThrow(/found "vibes"/);
    await expect(judge("no/such/run", { judge: "all" })).rejects.toThrow(/capstan collect --out RUN/);
    await expect(judge(run, { judge: "all", jugde: 1 } as never)).rejects.toThrow(/Is judge meant/);
  });
});

it("fit says that nothing is scored, and which command scores it", async () => {
  const { run } = await unscoredRun();
  await expect(fitAxis(run)).rejects.toThrow(
    /need scored responses, found no scores\. `capstan judge RUN --judge all` scores them/,
  );
});

function chat(content: string): string {
  return JSON.stringify({ choices: [{ message: { content } }] });
}
