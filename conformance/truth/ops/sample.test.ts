import { describe, expect, it } from "vitest";
import { GREEDY, sampling } from "../../contract/params.ts";
import { expectClose, makeRun } from "./make_run.ts";
import { distribution, drawToken, penalise, sample, uniform } from "./sample.ts";

describe("sampling by hand", () => {
  it("penalties and bias", () => {
    const params = sampling({
      history: Int32Array.of(0, 1, 1, 2),
      n_prompt: 1,
      repetition_penalty: 2,
      frequency_penalty: 0.25,
      presence_penalty: 0.5,
      logit_bias: [{ id: 3, bias: 7 }],
    });
    // 0: 4 / 2, prompt only. 1: -1 * 2 - 2 * 0.25 - 0.5. 2: 6 / 2 - 0.25 - 0.5. 3: 1 + 7.
    expect([...penalise(Float64Array.of(4, -1, 6, 1), params)]).toEqual([2, -3, 2.25, 8]);
  });

  it("the kept distribution", () => {
    const scores = Float64Array.from([1, 2, 3, 4], Math.log);
    expect(distribution(scores, sampling()).ids).toEqual([3, 2, 1, 0]);
    expectClose(distribution(scores, sampling()).probs, [0.4, 0.3, 0.2, 0.1]);
    expectClose(distribution(scores, sampling({ top_k: 2 })).probs, [4 / 7, 3 / 7]);
    expectClose(distribution(scores, sampling({ temperature: 0.5 })).probs, [
      16 / 30,
      9 / 30,
      4 / 30,
      1 / 30,
    ]);
    expectClose(distribution(scores, sampling({ top_p: 0.7 })).probs, [4 / 7, 3 / 7]);
    expectClose(distribution(scores, sampling({ min_p: 0.6 })).probs, [4 / 7, 3 / 7]);
  });

  it("greedy takes the lowest id of a tie", () => {
    expect(drawToken(Float64Array.of(1, 5, 5, 0), GREEDY)).toBe(1);
  });

  it("uniform is SplitMix64's finaliser: fixed, even, and moved by every input", () => {
    const many = Array.from({ length: 20_000 }, (_, draw) => uniform([7, 9], draw));
    const mean = many.reduce((a, b) => a + b) / many.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.01);
    expect(many.every((u) => u >= 0 && u < 1)).toBe(true);
    const inputs: [[number, number], number][] = [
      [[7, 9], 0],
      [[8, 9], 0],
      [[7, 10], 0],
      [[7, 9], 1],
    ];
    expect(new Set(inputs.map(([seed, draw]) => uniform(seed, draw))).size).toBe(4);
    expect(uniform([7, 9], 3)).toBe(many[3]);
  });

  it("log-probabilities are of the model's own distribution", () => {
    const params = { ...GREEDY, top_logprobs: 2, logit_bias: [{ id: 0, bias: 100 }] };
    const run = makeRun([0], { ask: { sample: params } });
    run.gathered = [...run.rows];
    run.buffers.logits = [Float64Array.from([1, 2, 5], Math.log)];
    sample(run, { op: "sample", in: "logits" });
    const { token, logprobs } = run.entries[0]!.result;
    expect(token).toBe(0);
    expect(logprobs?.token).toBeCloseTo(Math.log(1 / 8), 12);
    expect(logprobs?.top.map(({ id }) => id)).toEqual([2, 1]);
    expect(logprobs?.top[0]?.logprob).toBeCloseTo(Math.log(5 / 8), 12);
  });
});
