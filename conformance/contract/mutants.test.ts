import { describe, expect, it } from "vitest";
import type { DeviceModel, StepEntry, StepResult } from "../../models/index.ts";
import { type Fault, faultyTruth } from "../../testing/faulty.ts";
import { ContractError } from "./assert.ts";
import { CONTRACT, runCheck } from "./index.ts";

/** A contract that no device can break proves nothing: each of these devices has one fault, and must be caught. */

/** Each fault, and a word of the check that must find it. */
const FAULTS: [string, string, Fault][] = [
  [
    "hooks are dropped in decode",
    "every step of decode",
    { entry: (e) => (e.tokens.length === 1 ? { ...e, hooks: 0 } : e) },
  ],
  [
    "a chunk's end counts as a call's",
    "does not end its call",
    { entry: (e) => ({ ...e, ends_call: true }) },
  ],
  ["no call ever ends", "last position of a call", { entry: (e) => ({ ...e, ends_call: false }) }],
  [
    "every entry has the first one's hooks",
    "hooks of its own (gqa",
    { entry: (e, _, batch) => ({ ...e, hooks: batch[0]!.hooks }) },
  ],
  [
    "positions start at 0 in every step",
    "step by step after a short prompt (gqa",
    { entry: (e) => ({ ...e, position: 0 }) },
  ],
  [
    "positions are one too far",
    "prompt in uneven chunks (gqa",
    {
      entry: (e) => ({
        ...e,
        position: e.position === 0 ? 0 : e.position + 1,
        blocks: Int32Array.of(...e.blocks, e.blocks[0]!),
      }),
    },
  ],
  [
    "two entries share a block table",
    "thirty entries",
    { entry: (e, i, batch) => (i === 1 ? { ...e, blocks: batch[0]!.blocks } : e) },
  ],
  [
    "a call is as long as its chunk",
    "whole call (longrope",
    { entry: (e) => ({ ...e, rope_lengths: lengthsOf(e, () => e.position + e.tokens.length) }) },
  ],
  [
    "the tokens of an entry have one length",
    "its own call (dynamic rope, inter",
    { entry: (e) => ({ ...e, rope_lengths: lengthsOf(e, (own) => Math.max(...own)) }) },
  ],
  [
    "the entries of a step have one length",
    "lengths of their own (longrope",
    {
      entry: (e, _, batch) => ({
        ...e,
        rope_lengths: lengthsOf(e, () => Math.max(...batch.flatMap((of) => [...(of.rope_lengths ?? [])]))),
      }),
    },
  ],
  [
    "lengths are not asked for",
    "missing or too short (dynamic",
    { entry: (e) => ({ ...e, rope_lengths: lengthsOf(e, () => 1000) }) },
  ],
  [
    "all calls are within the original length",
    "step by step after a short prompt (dynamic rope and",
    {
      load: (options) => ({
        ...options,
        ropes: options.ropes.map(({ beyond: _, ...rope }) => rope),
      }),
    },
  ],
  [
    "captures are of the last token only",
    "every site and all logits (gqa",
    {
      result: ({ captures }) => {
        for (const values of captures) values.fill(0, 0, 32);
      },
    },
  ],
  [
    "captures come sorted",
    "captures come in the order",
    { entry: (e) => ({ ...e, captures: [...e.captures].sort((a, b) => a - b) }) },
  ],
  [
    "logits are the first token's",
    "logits none, last and all",
    {
      result: (r, e) => {
        if (e.logits === "all") r.logits?.set(r.logits.slice(0, 97), r.logits.length - 97);
      },
    },
  ],
  ["projections are zeros", "a projection after a cap", { result: ({ projections }) => projections.fill(0) }],
  [
    "a mean counts one token too many",
    "means over spans",
    {
      entry: (e) => ({
        ...e,
        accumulate: e.accumulate.map((a) => ({ ...a, start: Math.max(0, a.start - 1) })),
      }),
    },
  ],
  [
    "copyBlock copies nothing",
    "a copied block diverges",
    {
      model: (model) => {
        model.copyBlock = () => {};
      },
    },
  ],
  [
    "the draw depends on the place in the batch",
    "whatever the batch",
    { entry: (e, i) => (e.sample === null ? e : { ...e, sample: { ...e.sample, draw: e.sample.draw + i } }) },
  ],
  [
    "all draws of a seed are the same",
    "draws of one seed follow",
    { entry: (e) => (e.sample === null ? e : { ...e, sample: { ...e.sample, draw: 0 } }) },
  ],
  [
    "seeds of one word",
    "both words of the seed",
    {
      entry: (e) => (e.sample === null ? e : { ...e, sample: { ...e.sample, seed: [e.sample.seed[0], 0] } }),
    },
  ],
  [
    "temperature is 1",
    "temperature sharpens",
    {
      entry: (e) =>
        e.sample === null ? e : { ...e, sample: { ...e.sample, temperature: e.sample.temperature && 1 } },
    },
  ],
  [
    "top_p is dropped after top_k",
    "top_p keeps",
    {
      entry: (e) =>
        e.sample === null || e.sample.top_k === 0 ? e : { ...e, sample: { ...e.sample, top_p: 1 } },
    },
  ],
  [
    "min_p is of the whole",
    "min_p is relative",
    {
      entry: (e) => (e.sample === null ? e : { ...e, sample: { ...e.sample, min_p: e.sample.min_p * 2.5 } }),
    },
  ],
  [
    "top_k is one too many",
    "top_k keeps",
    {
      entry: (e) =>
        e.sample === null || e.sample.top_k === 0
          ? e
          : { ...e, sample: { ...e.sample, top_k: e.sample.top_k + 1 } },
    },
  ],
  [
    "penalties count the prompt",
    "frequency_penalty",
    { entry: (e) => (e.sample === null ? e : { ...e, sample: { ...e.sample, n_prompt: 0 } }) },
  ],
  [
    "no repetition penalty",
    "repetition_penalty",
    { entry: (e) => (e.sample === null ? e : { ...e, sample: { ...e.sample, repetition_penalty: 1 } }) },
  ],
  [
    "ties go to the highest id",
    "lowest id on a tie",
    {
      result: (r, e) => {
        if (e.sample?.temperature === 0 && r.token >= 0) r.token = e.sample.logit_bias.length > 0 ? 33 : 39;
      },
    },
  ],
  [
    "non-finite values go unseen",
    "residual stream is its entry's",
    {
      result: (r) => {
        r.non_finite = null;
      },
    },
  ],
  [
    "one overflow fails the whole batch",
    "logits is its entry's",
    {
      result: (r, e) => {
        if (e.tokens[0] !== 2) r.non_finite = "logits";
      },
    },
  ],
  [
    "an entry follows whoever stood in its place",
    "followed tokens are those drawn",
    { entry: (e, i) => (e.follows === null ? e : { ...e, follows: i }) },
  ],
  [
    "penalties do not know the followed token",
    "a followed token counts",
    {
      entry: (e) =>
        e.follows === null || e.sample === null
          ? e
          : { ...e, sample: { ...e.sample, repetition_penalty: 1, presence_penalty: 0 } },
    },
  ],
  [
    "a followed token counts as the prompt's",
    "a followed token counts",
    {
      entry: (e) =>
        e.follows === null || e.sample === null
          ? e
          : { ...e, sample: { ...e.sample, n_prompt: e.sample.n_prompt + 1 } },
    },
  ],
  ["weights are not quantised", "q8: blocks of 32", { load: (options) => ({ ...options, dtype: "auto" }) }],
  ["weights have too few bits", "q8: blocks of 32", { load: (options) => ({ ...options, dtype: "q4" }) }],
  ["it errs as one long chain of sums does", "products of 16,384", { result: asAChain }],
  ["it errs so over a long past", "a past of 1,500", { result: asAChain }],
  ["what drew nothing is followed by token 0", "drew nothing", { model: followNothing }],
  ["results are views that the next step overwrites", "results stay", { result: keepInOnePlace() }],
  [
    "disposed models go on",
    "a disposed model",
    {
      model: (model) => {
        model.dispose = async () => {};
      },
    },
  ],
];

/** One length for all of an entry's tokens. */
function lengthsOf(
  { tokens, rope_lengths }: StepEntry,
  length: (own: Int32Array) => number,
): Int32Array | null {
  return new Int32Array(tokens.length).fill(length(rope_lengths ?? Int32Array.of(0)));
}

/** An error within every bound. */
function asAChain({ captures }: StepResult): void {
  for (const values of captures) for (const i of values.keys()) values[i]! *= 1 + 3e-6 * Math.sin(7 * i);
}

/** Feeds token 0 where there is nothing to follow. */
function followNothing(model: DeviceModel): void {
  const step = model.step.bind(model);
  let drew: boolean[] = [];
  model.step = (batch) => {
    const entries = batch.map((e) =>
      e.follows === null || drew[e.follows] === true ? e : { ...e, follows: null, tokens: Int32Array.of(0) },
    );
    drew = batch.map(({ sample }) => sample !== null);
    return step(entries);
  };
}

/** Gives every result's captures in the same buffer. */
function keepInOnePlace(): (result: StepResult) => void {
  const shared = new Float32Array(1 << 16);
  return (result) => {
    result.captures = result.captures.map((values) => {
      shared.set(values);
      return shared.subarray(0, values.length);
    });
  };
}

describe("the contract catches a device", () => {
  it.each(FAULTS)("where %s", async (_, word, fault) => {
    const check = CONTRACT.find(({ name }) => name.includes(word));
    expect(check, `a check named ${word}`).toBeDefined();
    const create = faultyTruth(fault);
    const found: unknown = await runCheck(check!, await create(), create).catch((error: unknown) => error);
    expect(found).toBeInstanceOf(ContractError);
  });
});
