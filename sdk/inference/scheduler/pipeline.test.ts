import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GREEDY } from "../../../conformance/contract/params.ts";
import { createWasmDevice } from "../../../core-wasm/index.ts";
import { CapstanError, type Hook, planHooks, type StepEntry } from "../../../models/index.ts";
import { type PipelinedOptions, pipelined } from "../../../testing/pipelined.ts";
import { runtimeOf } from "../../../testing/runtime_of.ts";
import { engine } from "../../platform/engine.ts";
import type { GenerateOptions, Model } from "../../types.ts";
import { generate } from "../generate.ts";
import { loadOn } from "../load.ts";
import type { Call, CallResult } from "./task.ts";

const EOS = 2;

const wasm = async () => createWasmDevice(await engine());

async function loadPipelined(options: PipelinedOptions = {}): Promise<Model> {
  return loadOn("capstan-tiny", {}, async () => pipelined(await wasm(), options));
}

/** A reply to ask for, and when to break it off: after so many tokens were read. */
interface Job {
  prompt: number[];
  options: GenerateOptions;
  abort_after: number | null;
}

/** Prompts that begin alike, so that the prefix cache has work, with penalties, stops and ends of text. */
const job: fc.Arbitrary<Job> = fc
  .record({
    length: fc.integer({ min: 1, max: 60 }),
    family: fc.integer({ min: 0, max: 2 }),
    max_tokens: fc.integer({ min: 1, max: 24 }),
    temperature: fc.constantFrom(0, 0.8, 1.5),
    seed: fc.nat(1000),
    penalty: fc.constantFrom(0, 0, 0.7),
    eos_bias: fc.constantFrom(0, 0, 6),
    stop: fc.constantFrom(undefined, " ", "e", "th"),
    cap: fc.boolean(),
    mean: fc.constantFrom(false, false, true),
    abort_after: fc.constantFrom(null, null, null, 0, 1, 5),
  })
  .map(({ length, family, penalty, eos_bias, stop, cap, mean, abort_after, ...options }) => ({
    prompt: Array.from({ length }, (_, i) => 300 + ((i * (7 + family)) % 1000)),
    abort_after,
    options: {
      ...options,
      top_k: 0,
      repetition_penalty: 1 + penalty,
      frequency_penalty: penalty,
      logit_bias: { [EOS]: eos_bias },
      ...(stop === undefined ? {} : { stop }),
      hooks: cap ? [floor()] : [],
      ...(mean ? { mean: ["blocks.3.hook_resid_post"] } : {}),
      logprobs: 2,
    },
  }));

function floor(): Hook {
  const vector = Float32Array.from({ length: 192 }, (_, i) => Math.sin(i));
  return { kind: "cap", site: "blocks.2.hook_resid_post", vector, floor: 1 };
}

async function run(model: Model, { prompt, options, abort_after }: Job) {
  const abort = new AbortController();
  const reply = generate(model, prompt, { ...options, signal: abort.signal });
  const ids: number[] = [];
  if (abort_after === 0) abort.abort();
  try {
    for await (const { id } of reply) if (ids.push(id) === abort_after) abort.abort();
  } catch (error) {
    if (!(error instanceof CapstanError && error.code === "aborted")) throw error;
    return { ids, result: null };
  }
  const { usage, ...result } = await reply.result;
  return { ids, result: { ...result, completion_tokens: usage.completion_tokens } };
}

describe("on a device that takes the next step while one runs", () => {
  let plain: Model;
  let model: Model;
  const steps: { batch: readonly StepEntry[]; under_way: number }[] = [];
  beforeAll(async () => {
    plain = await loadOn("capstan-tiny", {}, wasm);
    model = await loadPipelined({ on_step: (batch, _, under_way) => steps.push({ batch, under_way }) });
  });
  afterAll(async () => {
    await plain.dispose();
    await model.dispose();
  });

  it("replies have the tokens that they have without, whatever else runs, stops or is broken off", async () => {
    const { pool, prefixes } = runtimeOf(model).scheduler;
    const jobs = fc.array(job, { minLength: 1, maxLength: 8 });
    const property = fc.asyncProperty(jobs, async (asked) => {
      const expected = await Promise.all(asked.map((one) => run(plain, { ...one, abort_after: null })));
      const got = await Promise.all(asked.map((one) => run(model, one)));
      for (const [i, { ids, result }] of got.entries()) {
        if (result !== null) expect(result).toEqual(expected[i]!.result);
        expect(ids).toEqual(expected[i]!.ids.slice(0, ids.length));
      }
      expect(pool.used).toBe(prefixes.size);
    });
    await fc.assert(property, { seed: 20_261_121, numRuns: 12 });
  });

  it("gives each step but the first before the last one's tokens are known", async () => {
    steps.length = 0;
    const { tokens } = await generate(model, [5, 6, 7], {
      temperature: 0,
      max_tokens: 9,
      logit_bias: { 2: -99 },
    }).result;
    expect(tokens.length).toBe(9);
    expect(steps.map(({ batch }) => batch.map(({ follows }) => follows))).toEqual([
      [null],
      ...Array.from({ length: 8 }, () => [0]),
    ]);
    expect(Math.max(...steps.map(({ under_way }) => under_way))).toBe(2);
  });

  it("feeds one token more than a reply that ends by itself has, and forgets it", async () => {
    const { pool, prefixes } = runtimeOf(model).scheduler;
    steps.length = 0;
    const { tokens, finish_reason } = await generate(model, [5, 6, 7], {
      temperature: 0,
      logit_bias: { [EOS]: 99 },
    }).result;
    expect({ finish_reason, n: tokens.length, steps: steps.length }).toEqual({
      finish_reason: "stop",
      n: 0,
      steps: 2,
    });
    expect(pool.used).toBe(prefixes.size);
  });

  it("leaves the sequence of a task that ends with what was fed before, ready to go on", async () => {
    const { scheduler } = runtimeOf(model);
    const sequence = scheduler.openSequence(planHooks(model.spec, []));
    const prompt = Int32Array.from({ length: scheduler.pool.block_size }, (_, i) => 300 + i);
    const call = (tokens: Int32Array): Call => {
      const sample = { ...GREEDY, draw: 0 };
      return { tokens, sample, logits: "last", captures: [], accumulate: [], reads_all: true };
    };
    const feed = (tokens: Int32Array, ahead: () => Call | "ends") =>
      new Promise<CallResult>((resolve, reject) => {
        let found: CallResult;
        const next = (result: CallResult) => {
          found = result;
          return null;
        };
        const ended = (error: unknown) => (error === undefined ? resolve(found) : reject(error));
        scheduler.submit({
          sequence,
          first: call(tokens),
          max_tokens: 40,
          signal: undefined,
          client: "",
          queue: "wait",
          next,
          ahead,
          ended,
        });
      });
    steps.length = 0;
    // Its follower would open a second block.
    await feed(prompt, () => call(new Int32Array(1)));
    expect(steps.length).toBe(2);
    expect({ end: sequence.end, tokens: sequence.tokens, blocks: sequence.blocks.length }).toEqual({
      end: prompt.length,
      tokens: [...prompt],
      blocks: 1,
    });
    const { logits } = await feed(Int32Array.of(9), () => "ends");
    scheduler.closeSequence(sequence);
    expect(logits).toEqual((await plain.forward([...prompt, 9], { logits: "last" })).logits);
  });

  it("keeps a batch whole where one of it takes a mean and has to wait", async () => {
    steps.length = 0;
    const options = { temperature: 0, max_tokens: 6, logit_bias: { [EOS]: -99 } };
    await Promise.all([
      generate(model, [5, 6, 7], { ...options, mean: ["blocks.0.hook_resid_post"] }).result,
      generate(model, [8, 9], options).result,
    ]);
    // The mean takes in the last token too: one step more.
    expect(steps.map(({ batch }) => batch.length)).toEqual([2, 2, 2, 2, 2, 2, 1]);
    expect(steps.every(({ under_way }) => under_way === 1)).toBe(true);
  });

  it("takes long prompts in chunks that follow each other at once", async () => {
    const tokens = Array.from({ length: 900 }, (_, i) => 300 + (i % 700));
    const expected = await plain.forward(tokens, { logits: "last" });
    steps.length = 0;
    const { logits } = await model.forward(tokens, { logits: "last" });
    expect(logits).toEqual(expected.logits);
    expect(steps.map(({ under_way }) => under_way)).toEqual([1, 2]);
  });
});

describe("when a step fails while another is under way", () => {
  const options = { temperature: 0, max_tokens: 30, logit_bias: { [EOS]: -99 } };

  it("each reply in it is tried alone, and goes on where that succeeds", async () => {
    const model = await loadPipelined({
      on_step: (_, step) => {
        if (step === 4) throw new Error("a step that fails");
      },
    });
    const plain = await loadOn("capstan-tiny", {}, wasm);
    const all = (one: Model) =>
      Promise.all([[5, 6], [7], [8, 9, 10]].map((prompt) => generate(one, prompt, options).result));
    expect(await all(model)).toEqual(await all(plain));
    await model.dispose();
    await plain.dispose();
  });

  it("every reply that fails alone too ends once, with its error, and the next ones run", async () => {
    let fails_from = 4;
    const model = await loadPipelined({
      on_step: (_, step) => {
        if (step >= fails_from) throw new Error("a step that fails");
      },
    });
    const { pool, prefixes } = runtimeOf(model).scheduler;
    const replies = [[5, 6], [7], [8, 9, 10]].map((prompt) => generate(model, prompt, options));
    const settled = await Promise.allSettled(replies.map(({ result }) => result));
    for (const outcome of settled) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { message: "a step that fails" } });
    }
    expect(pool.used).toBe(prefixes.size);
    fails_from = Number.POSITIVE_INFINITY;
    expect((await generate(model, [5, 6], options).result).tokens.length).toBe(30);
    await model.dispose();
  });

  it("a lost device ends every reply, those that wait and those that come, with device_lost", async () => {
    const model = await loadOn("capstan-tiny", {}, async () => {
      const device = await wasm();
      const on_step: PipelinedOptions["on_step"] = (_, step) => {
        if (step === 3) void device.dispose();
      };
      return pipelined(device, { on_step });
    });
    const replies = Array.from({ length: 70 }, (_, i) => generate(model, [5 + i, 6], options));
    const settled = await Promise.allSettled(replies.map(({ result }) => result));
    expect(
      new Set(settled.map((one) => (one.status === "rejected" ? one.reason.code : "fulfilled"))),
    ).toEqual(new Set(["device_lost"]));
    await expect(generate(model, [5, 6], options).result).rejects.toMatchObject({ code: "device_lost" });
    await model.dispose();
  });

  it("a model that is disposed of ends them too", async () => {
    const model = await loadPipelined();
    const reply = generate(model, [5, 6], options);
    for await (const _ of reply) {
      await model.dispose();
      await expect(reply.result).rejects.toBeInstanceOf(CapstanError);
      break;
    }
  });
});
