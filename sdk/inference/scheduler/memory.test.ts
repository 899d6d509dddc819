import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWasmDevice } from "../../../core-wasm/index.ts";
import { CapstanError, type Hook } from "../../../models/index.ts";
import { type Limits, limited, newSeen } from "../../../testing/limited.ts";
import { pipelined } from "../../../testing/pipelined.ts";
import { runtimeOf } from "../../../testing/runtime_of.ts";
import { engine } from "../../platform/engine.ts";
import type { GenerateOptions, Model } from "../../types.ts";
import { generate } from "../generate.ts";
import { loadOn } from "../load.ts";

const EOS = 2;
/** Replies of a fixed length. */
const OPTIONS = { temperature: 0.8, seed: 5, logit_bias: { [EOS]: -99 } };

const wasm = async () => createWasmDevice(await engine());
const prompt = (n: number, first: number) =>
  Array.from({ length: n }, (_, i) => 300 + ((first + 7 * i) % 1000));

let roomy: Model;
beforeAll(async () => {
  roomy = await loadOn("capstan-tiny", {}, wasm);
});
afterAll(() => roomy.dispose());

/** The model on a device that finds less memory than it says, with one step at a time or two. */
async function scarce(limits: Limits, n_in_flight = 1) {
  const seen = newSeen();
  const model = await loadOn("capstan-tiny", {}, async () => {
    const device = limited(await wasm(), limits, seen);
    return n_in_flight === 1 ? device : pipelined(device, { n_in_flight });
  });
  return { model, seen };
}

type Job = [tokens: number[], options: GenerateOptions];

async function results(model: Model, jobs: readonly Job[]) {
  const replies = jobs.map(([tokens, options]) => generate(model, tokens, { ...OPTIONS, ...options }).result);
  return (await Promise.all(replies)).map(({ usage: _, ...result }) => result);
}

/** What each has alone, in a model with memory for all. */
async function alone(jobs: readonly Job[]) {
  const found = [];
  for (const job of jobs) found.push(...(await results(roomy, [job])));
  return found;
}

function cap(layer: number, positions: "all" | "last" = "all"): Hook {
  const vector = Float32Array.from({ length: 192 }, (_, i) => Math.sin(i + layer));
  return { kind: "cap", site: `blocks.${layer}.hook_resid_post`, vector, floor: 1, positions };
}

/** Nothing may stay: sequences are gone, and what is cached is given back. */
async function expectClean(model: Model, seen: { blocks: number }) {
  const { pool, prefixes } = runtimeOf(model).scheduler;
  expect(pool.used).toBe(prefixes.size);
  await model.dispose();
  expect(seen.blocks).toBe(0);
}

describe.each([1, 2])("where memory holds less than was said, %i steps in flight", (n_in_flight) => {
  it("prompts one after the other all run: what is cached of earlier ones gives way", async () => {
    const { model, seen } = await scarce({ blocks: 24 }, n_in_flight);
    for (let n = 0; n < 12; n++) {
      const job: Job = [prompt(150, 31 * n), { max_tokens: 3 }];
      expect(await results(model, [job])).toEqual(await alone([job]));
    }
    expect(runtimeOf(model).scheduler.pool.limit).toBe(24);
    await expectClean(model, seen);
  });

  it("more replies than fit all come, each as it is alone: the youngest wait and are computed again", async () => {
    const { model, seen } = await scarce({ blocks: 24 }, n_in_flight);
    const jobs = Array.from({ length: 12 }, (_, n): Job => {
      const hooks = [[], [cap(2)], [cap(1, "last"), cap(4)]][n % 3]!;
      const mean = n % 4 === 0 ? { mean: ["blocks.3.hook_resid_post"] } : {};
      const penalty = n % 5 === 0 ? 0.5 : 0;
      return [
        prompt(10 + 11 * n, 17 * n),
        { max_tokens: 20 + 9 * n, hooks, frequency_penalty: penalty, logprobs: 2, ...mean },
      ];
    });
    expect(await results(model, jobs)).toEqual(await alone(jobs));
    expect(seen.most_blocks).toBe(24);
    await expectClean(model, seen);
  });

  it("small replies in progress outlive large prompts that arrive", async () => {
    const { model, seen } = await scarce({ blocks: 40 }, n_in_flight);
    const small = Array.from({ length: 8 }, (_, n): Job => [prompt(5, n), { max_tokens: 40 }]);
    const large = Array.from({ length: 10 }, (_, n): Job => [prompt(400, 50 + n), { max_tokens: 4 }]);
    const replies = small.map(([tokens, options]) => generate(model, tokens, { ...OPTIONS, ...options }));
    for await (const _ of replies[0]!) if (replies.length === 8) replies.push(...ask(model, large));
    const found = await Promise.all(replies.map(({ result }) => result));
    const expected = await alone([...small, ...large]);
    expect(found.map(({ text }) => text)).toEqual(expected.map(({ text }) => text));
    await expectClean(model, seen);
  });

  it("sessions that rest give their blocks up and go on with the same numbers", async () => {
    const { model, seen } = await scarce({ blocks: 20 }, n_in_flight);
    const hooks = [cap(1, "last"), cap(3)];
    const [ours, theirs] = [await model.session({ hooks }), await roomy.session({ hooks })];
    const both = async (tokens: number[]) => {
      const options = { capture: ["blocks.7.hook_resid_post"], logits: "last" } as const;
      expect(await ours.forward(tokens, options)).toEqual(await theirs.forward(tokens, options));
    };
    await both(prompt(70, 3));
    await both(prompt(3, 9));
    const job: Job = [prompt(250, 77), { max_tokens: 8 }];
    expect(await results(model, [job])).toEqual(await alone([job]));
    await both(prompt(5, 11));
    await Promise.all([ours.truncate(72), theirs.truncate(72)]);
    expect(await results(model, [job])).toEqual(await alone([job]));
    const fork = await ours.fork();
    await both(prompt(30, 13));
    expect([ours.n_tokens, fork.n_tokens]).toEqual([102, 72]);
    await Promise.all([ours.dispose(), theirs.dispose(), fork.dispose()]);
    await expectClean(model, seen);
  });

  it("means of long prompts count each token once, whoever is computed again", async () => {
    const { model, seen } = await scarce({ blocks: 66 }, n_in_flight);
    const site = "blocks.3.hook_resid_post";
    const ask = (one: Model, n: number) =>
      one.forward(prompt(600, n), {
        mean: { sites: [site], spans: [{ start: 0, end: 600 }] },
        capture: n % 2 === 0 ? [site] : [],
        logits: "last",
      });
    const expected = [];
    for (let n = 0; n < 4; n++) expected.push(await ask(roomy, n));
    expect(await Promise.all([0, 1, 2, 3].map((n) => ask(model, n)))).toEqual(expected);
    await expectClean(model, seen);
  });

  it("what a truncated call left is computed again as it was, hooks on last positions included", async () => {
    const { model, seen } = await scarce({ blocks: 16 }, n_in_flight);
    const hooks = [cap(1, "last"), cap(4, "last")];
    const [ours, theirs] = [await model.session({ hooks }), await roomy.session({ hooks })];
    const both = async (tokens: number[]) => {
      expect(await ours.forward(tokens)).toEqual(await theirs.forward(tokens));
    };
    // The first two calls lose their end, the third stays, the fourth is lost whole.
    for (const [length, kept] of [
      [20, 10],
      [6, 13],
      [3, 16],
      [5, 16],
      [30, 46],
    ] as const) {
      await both(prompt(length, length));
      await Promise.all([ours.truncate(kept), theirs.truncate(kept)]);
    }
    const job: Job = [prompt(240, 5), { max_tokens: 2 }];
    expect(await results(model, [job])).toEqual(await alone([job]));
    await both([9, 8]);
    await Promise.all([ours.dispose(), theirs.dispose()]);
    await expectClean(model, seen);
  });

  it("what could not run even alone is refused, the others run", async () => {
    const { model, seen } = await scarce({ blocks: 10 }, n_in_flight);
    const jobs: Job[] = [
      [prompt(20, 1), { max_tokens: 20 }],
      [prompt(300, 2), { max_tokens: 2 }],
      [prompt(20, 3), { max_tokens: 400 }],
      [prompt(30, 4), { max_tokens: 30 }],
    ];
    const settled = await Promise.allSettled(ask(model, jobs).map(({ result }) => result));
    const codes = settled.map((one) => (one.status === "rejected" ? one.reason.code : "fulfilled"));
    expect(codes).toEqual(["fulfilled", "out_of_memory", "out_of_memory", "fulfilled"]);
    // Now that it is known what memory holds, it is refused at the call.
    expect(() => ask(model, [jobs[1]!])).toThrow(
      /need a cache of at least 3\d\d tokens, found memory for 160/,
    );
    await expectClean(model, seen);
  });

  it("a step that finds no memory takes it from the cache, then from its own size", async () => {
    const { model, seen } = await scarce({ step_tokens: 120 }, n_in_flight);
    const jobs = Array.from({ length: 6 }, (_, n): Job => [prompt(60 + 20 * n, 9 * n), { max_tokens: 12 }]);
    for (let round = 0; round < 2; round++) expect(await results(model, jobs)).toEqual(await alone(jobs));
    expect(seen.failed_steps).toBeGreaterThan(0);
    await expectClean(model, seen);
  });
});

function ask(model: Model, jobs: readonly Job[]) {
  return jobs.map(([tokens, options]) => generate(model, tokens, { ...OPTIONS, ...options }));
}

describe.each([1, 2])("an error of one sequence, %i steps in flight", (n_in_flight) => {
  const POISON = 777;

  it("ends that one alone, whatever it is", async () => {
    const limits: Limits = {
      on_step: (batch) => {
        if (!batch.some(({ tokens }) => tokens.includes(POISON))) return;
        throw new CapstanError("bad_request", { action: "run a step", need: "no poison", found: "some" });
      },
    };
    const { model, seen } = await scarce(limits, n_in_flight);
    const good = Array.from({ length: 5 }, (_, n): Job => {
      const mean = n % 2 === 0 ? { mean: ["blocks.3.hook_resid_post"] } : {};
      return [prompt(4 + n, n), { max_tokens: 12, ...mean }];
    });
    const bad: Job[] = [
      [[5, POISON], {}],
      [[POISON], {}],
    ];
    const session = await model.session();
    await session.forward([5, 6, 7]);
    const replies = ask(model, [...good, ...bad]);
    await expect(session.forward([8, POISON])).rejects.toMatchObject({ code: "bad_request" });
    const settled = await Promise.allSettled(replies.map(({ result }) => result));
    expect(settled.slice(5).map((one) => one.status)).toEqual(["rejected", "rejected"]);
    const found = settled.slice(0, 5).map((one) => (one.status === "fulfilled" ? one.value : null));
    expect(found.map((one) => one && { text: one.text, means: one.means })).toEqual(
      (await alone(good)).map(({ text, means }) => ({ text, means })),
    );
    expect(session.n_tokens).toBe(3);
    await session.dispose();
    await expectClean(model, seen);
  });
});
