import { afterEach, describe, expect, it, vi } from "vitest";
import { createTruthDevice } from "../../../conformance/truth/index.ts";
import { CapstanError } from "../../../models/index.ts";
import type { GenerateOptions, Model } from "../../types.ts";
import { generate } from "../generate.ts";
import { loadOn } from "../load.ts";

/** Sequences in a step, as `load` chooses. */
const MOST_SEQUENCES = 64;

let model: Model;
afterEach(() => model.dispose());

async function open(options: { max_queue?: number } = {}): Promise<void> {
  model = await loadOn("conformance/reference/llama-gqa-untied", options, async () => createTruthDevice());
}

const prompt = (n: number, first: number) => Int32Array.from({ length: n }, (_, i) => (first + i * 7) % 90);
const write = (first: number, options: GenerateOptions) =>
  generate(model, prompt(3, first), { temperature: 0, max_tokens: 2, ...options }).result;

function errorOf(call: () => unknown): CapstanError {
  try {
    call();
  } catch (error) {
    if (error instanceof CapstanError) return error;
  }
  throw new Error("nothing was thrown");
}

describe("a queue", () => {
  it("is as long as max_queue says for those who would not wait, and without end for others", async () => {
    await open({ max_queue: 3 });
    const refuse = { queue: "refuse" } as const;
    const taken = Array.from({ length: MOST_SEQUENCES + 3 }, (_, i) => write(i, refuse));
    const error = errorOf(() => write(0, refuse));
    expect(error.code).toBe("busy");
    expect(error.message).toMatch(/max_queue 3.*found 3 that wait.*Try again in \d+ s/);
    expect(error.retry_after).toBeGreaterThanOrEqual(1);
    const patient = Array.from({ length: 50 }, (_, i) => write(i, {}));
    await expect(model.forward(prompt(3, 1), refuse)).rejects.toMatchObject({ code: "busy" });
    expect((await Promise.all([...taken, ...patient])).every(({ tokens }) => tokens.length === 2)).toBe(true);
    expect((await write(0, refuse)).tokens.length).toBe(2);
  });

  it("of none at all takes what runs at once", async () => {
    await open({ max_queue: 0 });
    const taken = Array.from({ length: MOST_SEQUENCES }, (_, i) =>
      write(i, { queue: "refuse", max_tokens: 30 }),
    );
    expect(errorOf(() => write(0, { queue: "refuse" })).code).toBe("busy");
    while (model.stats().n_running < MOST_SEQUENCES) await new Promise((done) => setTimeout(done, 1));
    expect(errorOf(() => write(0, { queue: "refuse" })).code).toBe("busy");
    await Promise.all(taken);
  });

  it("asks to wait by how fast replies have ended", async () => {
    await open({ max_queue: 1 });
    const refused = () => errorOf(() => write(0, { queue: "refuse" })).retry_after;
    const fill = () => Array.from({ length: MOST_SEQUENCES + 1 }, (_, i) => write(i, {}));
    const first = fill();
    // Nothing has ended yet.
    expect(refused()).toBe(1);
    await Promise.all(first);
    const now = vi.spyOn(performance, "now");
    try {
      // Of the last 32 ends one came every 4 s.
      for (let i = 0; i < 32; i++) {
        now.mockReturnValue(4000 * i);
        await write(i, {});
      }
      now.mockReturnValue(4000 * 32);
      const others = fill();
      // Half of those that wait will have begun.
      expect(refused()).toBe((4 * (MOST_SEQUENCES + 1)) / 2);
      await Promise.all(others);
    } finally {
      now.mockRestore();
    }
  });
});

describe("clients", () => {
  it("are served alike, however much one of them has asked for before", async () => {
    await open();
    const ended: string[] = [];
    const ask = (client: string, i: number) =>
      write(i, { client, max_tokens: 3 }).then(() => void ended.push(client));
    const greedy = Array.from({ length: 300 }, (_, i) => ask("greedy", i));
    const modest = Array.from({ length: 6 }, (_, i) => ask("modest", i));
    await Promise.all([...greedy, ...modest]);
    // All that is modest had a place among the first that were free.
    expect(ended.lastIndexOf("modest")).toBeLessThan(2 * MOST_SEQUENCES);
    expect(ended.length).toBe(306);
  });

  it("share the steps of long prompts", async () => {
    await open();
    const n = Math.floor(model.n_ctx / 2);
    const n_in_step = Math.ceil(512 / n);
    const clients = [...Array.from({ length: 4 * n_in_step }, () => "a"), "b"];
    const forward = (client: string, first: number) => model.forward(prompt(n, first), { client });
    const ended: string[] = [];
    await Promise.all(clients.map((client, i) => forward(client, i + 1).then(() => void ended.push(client))));
    expect(ended.indexOf("b")).toBeLessThan(2 * n_in_step);
  });

  it("that come late have no claim to what others had meanwhile", async () => {
    await open();
    const ended: string[] = [];
    const ask = (client: string, i: number) =>
      write(i, { client, max_tokens: 3 }).then(() => void ended.push(client));
    const leaves = new AbortController();
    const stays = write(0, { client: "early", max_tokens: 200, signal: leaves.signal });
    await Promise.all(Array.from({ length: 200 }, (_, i) => ask("early", i)));
    ended.length = 0;
    await Promise.all(Array.from({ length: 160 }, (_, i) => [ask("early", i), ask("late", i)]).flat());
    // Half of the first half is each one's.
    const late = ended.slice(0, 160).filter((client) => client === "late").length;
    expect(late).toBeGreaterThan(50);
    expect(late).toBeLessThan(110);
    leaves.abort();
    await Promise.allSettled([stays]);
  });
});

describe("a drained model", () => {
  it("ends what runs, refuses what has not begun and what comes", async () => {
    await open();
    const running = Array.from({ length: MOST_SEQUENCES }, (_, i) => write(i, { max_tokens: 30 }));
    const waiting = Array.from({ length: 5 }, (_, i) => write(i, {}));
    const refused = Promise.allSettled(waiting);
    while (model.stats().n_running < MOST_SEQUENCES) await new Promise((done) => setTimeout(done, 1));
    const drained = model.drain();
    expect(model.stats()).toMatchObject({ n_waiting: 0, is_draining: true });
    expect(errorOf(() => write(0, {})).code).toBe("busy");
    await drained;
    expect((await Promise.all(running)).every(({ tokens }) => tokens.length === 30)).toBe(true);
    for (const result of await refused)
      expect(result).toMatchObject({ status: "rejected", reason: { code: "busy" } });
    await model.drain();
    expect(model.stats().n_running).toBe(0);
  });

  it("ends all at its signal", async () => {
    await open();
    const long = write(1, { max_tokens: 200 });
    while (model.stats().n_running < 1) await new Promise((done) => setTimeout(done, 1));
    const limit = new AbortController();
    const drained = model.drain({ signal: limit.signal });
    limit.abort();
    await drained;
    await expect(long).rejects.toMatchObject({ code: "aborted" });
    await expect(model.drain({ signal: 5 } as never)).rejects.toMatchObject({ code: "bad_request" });
  });
});

it("stats say what runs, what waits and what the cache holds", async () => {
  await open({ max_queue: 9 });
  expect(model.stats()).toMatchObject({ n_running: 0, n_waiting: 0, max_queue: 9, is_draining: false });
  expect(model.stats().kv_blocks).toMatchObject({ used: 0, cached: 0 });
  const replies = Array.from({ length: MOST_SEQUENCES + 7 }, (_, i) => write(i, { max_tokens: 30 }));
  expect(model.stats()).toMatchObject({ n_running: 0, n_waiting: MOST_SEQUENCES + 7 });
  while (model.stats().n_running === 0) await new Promise((done) => setTimeout(done, 0));
  expect(model.stats()).toMatchObject({ n_running: MOST_SEQUENCES, n_waiting: 7 });
  expect(model.stats().kv_blocks.used).toBeGreaterThan(0);
  await Promise.all(replies);
  await generate(model, prompt(40, 2), { max_tokens: 2 }).result;
  const { used, cached, total } = model.stats().kv_blocks;
  expect([used, cached > 0, total > used]).toEqual([cached, true, true]);
});
