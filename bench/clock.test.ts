import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Session } from "../sdk/types.ts";
import { fakeModel } from "../testing/fakes/fake_model.ts";
import { measureCapCost } from "./cap_cost.ts";
import type { BenchEngine } from "./engine.ts";
import { measure, median, medianRange } from "./measure.ts";
import { type Decoded, figuresOf } from "./webgpu.ts";

/** The arithmetic of the bench, on clocks that the engines under it set. */

const signal = new AbortController().signal;
const clock = { wall: 0, cpu: 0 };

beforeEach(() => {
  Object.assign(clock, { wall: 5000, cpu: 300 });
  vi.spyOn(performance, "now").mockImplementation(() => clock.wall);
  vi.spyOn(process, "cpuUsage").mockImplementation(() => ({
    user: 600 * clock.cpu,
    system: 400 * clock.cpu,
  }));
});
afterEach(() => vi.restoreAllMocks());

function spend(wall: number, cpu = wall): void {
  clock.wall += wall;
  clock.cpu += cpu;
}

/** An engine that takes so many milliseconds a token, by its round. */
function engine(
  name: string,
  prefill_ms: (round: number) => number,
  decode_ms: (round: number) => number,
): BenchEngine {
  let round = -1;
  const logits = Float32Array.of(1);
  return {
    name,
    dtype: "f32",
    prompt: async (tokens) => {
      round += 1;
      spend(tokens.length * prefill_ms(round), 2 * tokens.length * prefill_ms(round));
      return logits;
    },
    next: async () => {
      spend(decode_ms(round), 2 * decode_ms(round));
      return logits;
    },
    dispose: async () => {},
  };
}

describe("speeds", () => {
  const load = { n_prompt: 8, n_decode: 4, rounds: 3, d_vocab: 9 };

  it("are prompt tokens over the prompt's time, and new tokens over theirs, by either clock", async () => {
    const engines = [
      engine(
        "fast",
        () => 2,
        () => 5,
      ),
      engine(
        "slow",
        () => 4,
        () => 50,
      ),
    ];
    const { speeds } = await measure(engines, load, () => {}, signal);
    expect(speeds).toEqual([
      {
        name: "fast",
        dtype: "f32",
        tok_s: { prefill: 500, decode: 200 },
        tok_cpu_s: { prefill: 250, decode: 100 },
      },
      {
        name: "slow",
        dtype: "f32",
        tok_s: { prefill: 250, decode: 20 },
        tok_cpu_s: { prefill: 125, decode: 10 },
      },
    ]);
  });

  it("leave the first round out, and are medians of the others", async () => {
    // Round 0 is slow, and one of the others is.
    const prefill = [1000, 10, 1, 4];
    const decode = [1000, 20, 500, 40];
    const engines = [
      engine(
        "one",
        (round) => prefill[round]!,
        (round) => decode[round]!,
      ),
    ];
    const rounds: string[] = [];
    const { speeds } = await measure(engines, load, (round) => rounds.push(String(round)), signal);
    expect(rounds).toEqual(["0", "1", "2", "3"]);
    expect(speeds[0]!.tok_s).toEqual({ prefill: 1000 / 4, decode: 1000 / 40 });
  });

  it("count a warm-up of one round alone: with one round counted, its times are the speed", async () => {
    const engines = [
      engine(
        "one",
        (round) => (round === 0 ? 1 : 10),
        (round) => (round === 0 ? 1 : 20),
      ),
    ];
    const { speeds } = await measure(engines, { ...load, rounds: 1 }, () => {}, signal);
    expect(speeds[0]!.tok_s).toEqual({ prefill: 100, decode: 50 });
  });
});

describe("the cost of caps", () => {
  /** A model whose sessions take time: `under` says how much more with hooks. Who went first is noted. */
  function model(under: { prefill: number; decode: number }, order: boolean[]) {
    const session = async ({ hooks = [] }: { hooks?: readonly unknown[] } = {}): Promise<Session> => {
      const is_capped = hooks.length > 0;
      return {
        n_tokens: 0,
        forward: async (tokens) => {
          order.push(is_capped);
          const factor = tokens.length > 1 ? under.prefill : under.decode;
          const ms = 10 * tokens.length * (is_capped ? factor : 1);
          spend(1, ms);
          return { captures: {}, means: [], logits: Float32Array.of(0), projections: {} };
        },
        truncate: async () => {},
        fork: () => session({ hooks }),
        dispose: async () => {},
        [Symbol.asyncDispose]: async () => {},
      };
    };
    return Object.assign(fakeModel(), { session, spec: { ...fakeModel().spec, d_vocab: 50 } });
  }

  it("is the capped one's processor time over the plain one's, prompts and tokens apart", async () => {
    const order: boolean[] = [];
    const cost = await measureCapCost(
      model({ prefill: 1.5, decode: 1.25 }, order),
      { n_prefill: 6, n_decode: 4 },
      signal,
    );
    for (const [ratio, expected] of [
      [cost.prefill, 1.5],
      [cost.decode, 1.25],
    ] as const) {
      for (const value of [ratio.low, ratio.median, ratio.high]) expect(value).toBeCloseTo(expected, 9);
    }
    expect(cost.layers).toBe(2);
  });

  it("lets either go first in turn, so that drift falls on both", async () => {
    const order: boolean[] = [];
    await measureCapCost(model({ prefill: 1, decode: 1 }, order), { n_prefill: 2, n_decode: 4 }, signal);
    const pairs = Array.from({ length: order.length / 2 }, (_, i) => order.slice(2 * i, 2 * i + 2));
    const [plain_first, capped_first] = [
      [false, true],
      [true, false],
    ];
    expect(pairs).toEqual([plain_first, capped_first, plain_first, capped_first, plain_first, capped_first]);
  });
});

describe("what is reported of many rounds", () => {
  it("takes the median", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 9, 2])).toBe(3);
  });

  it("says how sure a median is", () => {
    const values = Array.from({ length: 101 }, (_, i) => (i * 37) % 101);
    // sqrt(101) * 0.98 = 9.8 places to either side.
    expect(medianRange(values)).toEqual({ median: 50, low: 40, high: 60 });
    expect(medianRange([3])).toEqual({ median: 3, low: 3, high: 3 });
  });
});

describe("the figures of a GPU", () => {
  const decoded = (seconds: number, dispatches: number): Decoded => ({
    seconds,
    per_token: { dispatches, submits: 1, writes: 1, readbacks: 1, readback_bytes: 8 },
  });
  const rounds = {
    bandwidths: [10e9, 30e9, 20e9].map((read) => ({ read, copy: read / 2 })),
    prefills: [0.5, 0.25, 4],
    plain: [0.02, 0.1, 0.01].map((seconds) => decoded(seconds, 20)),
    capped: [0.03, 0.1, 0.02].map((seconds) => decoded(seconds, 22)),
  };
  const kernels = {
    decode: [
      { name: "matmul", count: 9, microseconds: 4000 },
      { name: "norm", count: 3, microseconds: 1000 },
    ],
    decode_with_caps: [],
    prefill: [],
  };

  it("are medians: prompt over its time, a token over its own, weights read over the bandwidth", () => {
    const figures = figuresOf(rounds, kernels, { weight_bytes: 50e6, n_prompt: 128, n_capped: 4 });
    expect(figures).toMatchObject({
      prefill_tok_s: 256,
      decode_tok_s: 50,
      bandwidth: { read: 20e9, copy: 10e9 },
      per_token: { dispatches: 20, readback_bytes: 8 },
      caps: { layers: 4, dispatches: 2 },
    });
    expect(figures.fraction_of_bandwidth).toBeCloseTo((50e6 * 50) / 20e9, 12);
    expect(figures.fraction_in_kernels).toBeCloseTo(50e6 / 0.005 / 20e9, 12);
    // Of the rounds' own ratios: 1.5, 1 and 2.
    expect(figures.caps.time.median).toBeCloseTo(1.5, 12);
    expect(figuresOf(rounds, null, { weight_bytes: 1, n_prompt: 1, n_capped: 4 }).fraction_in_kernels).toBe(
      null,
    );
  });
});
