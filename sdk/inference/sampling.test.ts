import { describe, expect, it } from "vitest";
import { fakeModel } from "../../testing/fakes/fake_model.ts";
import { needsHistory, readSampling } from "./sampling.ts";

/** A model whose generation_config.json says something of everything that it can. */
const defaults = { temperature: 0.3, top_k: 7, top_p: 0.5, min_p: 0.2, repetition_penalty: 1.4 };
const plain = fakeModel();
const model = Object.assign(fakeModel(), { defaults });

describe("the sampling of a reply", () => {
  it("is the caller's, else the model's, else the plain distribution", () => {
    expect(readSampling(model, { temperature: 0, top_k: 0, seed: 1 })).toMatchObject({
      ...defaults,
      temperature: 0,
      top_k: 0,
      frequency_penalty: 0,
      presence_penalty: 0,
    });
    expect(readSampling(Object.assign(plain, { defaults: {} }), { seed: 1 })).toMatchObject({
      temperature: 1,
      top_k: 0,
      top_p: 1,
      min_p: 0,
      repetition_penalty: 1,
      logit_bias: [],
      top_logprobs: -1,
    });
  });

  it.each([
    [0, [0, 0]],
    [7, [7, 0]],
    [2 ** 32 - 1, [0xffffffff, 0]],
    [2 ** 32 + 5, [5, 1]],
    [Number.MAX_SAFE_INTEGER, [0xffffffff, 0x1fffff]],
  ])("takes all bits of seed %d", (seed, words) => {
    expect(readSampling(model, { seed }).seed).toEqual(words);
  });

  it("draws a seed where none is given, another one each time", () => {
    const seeds = Array.from({ length: 20 }, () => readSampling(model, {}).seed.join());
    expect(new Set(seeds).size).toBeGreaterThan(18);
  });

  it("needs the tokens so far for penalties alone", () => {
    const needs = (options: object) =>
      needsHistory(readSampling(Object.assign(plain, { defaults: {} }), { seed: 1, ...options }));
    expect(needs({ temperature: 0.5, top_k: 3, logprobs: true })).toBe(false);
    for (const name of ["repetition_penalty", "frequency_penalty", "presence_penalty"])
      expect(needs({ [name]: 1.5 })).toBe(true);
  });
});
