import { itemAt } from "../../../models/certain.ts";
import type { SampleParams } from "../../../models/index.ts";
import { check } from "../assert.ts";
import type { Check } from "../check.ts";
import { sampling } from "../params.ts";
import type { Twin } from "../twin.ts";
import { BLANK, drawEach, N_BLANK, only } from "./blank.ts";

/** What is random about a draw: which tokens may come, how often, and what decides. Seeds are fixed. */
export const samplingChecks: Check[] = [
  { name: "the same seed and draw give the same token, whatever the batch", tiny: BLANK, run: deterministic },
  { name: "draws of one seed follow the distribution", tiny: BLANK, run: (twin) => follows(twin, byDraw) },
  { name: "first draws of many seeds follow it too", tiny: BLANK, run: (twin) => follows(twin, bySeed) },
  { name: "draws next to each other do not depend on each other", tiny: BLANK, run: independent },
  { name: "both words of the seed count", tiny: BLANK, run: bothWords },
  { name: "temperature sharpens and flattens", tiny: BLANK, run: temperature },
  { name: "top_k keeps the k likeliest", tiny: BLANK, run: topK },
  { name: "top_p keeps the fewest that reach it, after temperature and top_k", tiny: BLANK, run: topP },
  { name: "min_p is relative to the likeliest", tiny: BLANK, run: minP },
  { name: "extremes give a token still", tiny: BLANK, run: extremes },
];

const N_DRAWS = 2000;

function byDraw(n: number): Partial<SampleParams> {
  return { seed: [0x12345678, 0x9abcdef0], draw: n };
}

function bySeed(n: number): Partial<SampleParams> {
  return { seed: [n, 0], draw: 0 };
}

/** `count` draws of one distribution. */
function draws(
  twin: Twin,
  changes: Partial<SampleParams>,
  count = N_DRAWS,
  number: (n: number) => Partial<SampleParams> = byDraw,
): Promise<number[]> {
  return drawEach(
    twin,
    Array.from({ length: count }, (_, n) => sampling({ ...changes, ...number(n) })),
  );
}

async function deterministic(twin: Twin): Promise<void> {
  const first = await draws(twin, {}, 100);
  const again = await draws(twin, {}, 100);
  check(first.join() === again.join(), "the same draws twice");
  for (const n of [0, 57, 99]) {
    const [alone] = await drawEach(twin, [sampling(byDraw(n))]);
    check(alone === first[n], `draw ${n} alone gives ${alone}, in a batch ${first[n]}`);
  }
  check(new Set(first).size > 20, "different draws give different tokens");
}

/** log(1..8) as scores: probabilities k / 36. */
const RAMP = Object.fromEntries([3, 39, 11, 0, 17, 25, 8, 30].map((id, k) => [id, Math.log(k + 1)]));

async function follows(twin: Twin, number: (n: number) => Partial<SampleParams>): Promise<void> {
  const drawn = await draws(twin, { logit_bias: only(RAMP) }, N_DRAWS, number);
  const weights = Object.entries(RAMP).map(([id, score]) => ({ id: Number(id), p: Math.exp(score) / 36 }));
  const statistic = chiSquare(drawn, weights);
  // 7 degrees of freedom: above 29.9 once in ten thousand.
  check(statistic < 29.9, `chi-square ${statistic.toFixed(1)} over 29.9 with 7 degrees of freedom`);
  check(statistic > 0.3, `chi-square ${statistic.toFixed(3)}: draws more even than chance would make them`);
}

async function independent(twin: Twin): Promise<void> {
  const drawn = await draws(twin, { logit_bias: only({ 4: 0, 5: 0, 6: 0, 7: 0 }) });
  const pairs = drawn.slice(1).map((id, i) => 4 * (itemAt(drawn, i) - 4) + (id - 4));
  const statistic = chiSquare(
    pairs,
    Array.from({ length: 16 }, (_, id) => ({ id, p: 1 / 16 })),
  );
  // 15 degrees of freedom: above 44.3 once in ten thousand.
  check(statistic < 44.3, `chi-square of pairs ${statistic.toFixed(1)} over 44.3`);
}

async function bothWords(twin: Twin): Promise<void> {
  const low = await draws(twin, {}, 60, (n) => ({ seed: [n, 7] }));
  const high = await draws(twin, {}, 60, (n) => ({ seed: [7, n] }));
  check(new Set(low).size > 10, "the low word counts");
  check(new Set(high).size > 10, "the high word counts");
  const same = low.filter((id, n) => id === high[n]).length;
  check(same < 12, `the words do different things (${same} of 60 draws equal)`);
}

async function temperature(twin: Twin): Promise<void> {
  const logit_bias = only({ 10: 1, 20: 0 });
  const share = async (value: number) =>
    (await draws(twin, { logit_bias, temperature: value })).filter((id) => id === 10).length / N_DRAWS;
  for (const value of [0.5, 1, 2]) {
    const expected = 1 / (1 + Math.exp(-1 / value));
    const got = await share(value);
    // Four standard deviations.
    const tolerance = 4 * Math.sqrt((expected * (1 - expected)) / N_DRAWS);
    check(
      Math.abs(got - expected) < tolerance,
      `temperature ${value}: share ${got}, expected ${expected.toFixed(3)}`,
    );
  }
}

async function topK(twin: Twin): Promise<void> {
  const logit_bias = only({ 9: 3, 2: 2.5, 31: 2, 14: 1.9, 6: 1.8 });
  await expectSupport(twin, { logit_bias, top_k: 3 }, [9, 2, 31]);
  await expectSupport(twin, { logit_bias, top_k: 1 }, [9]);
  await expectSupport(twin, { logit_bias, top_k: N_BLANK + 5 }, [9, 2, 31, 14, 6]);
  // A higher temperature changes shares, not which are likeliest.
  await expectSupport(twin, { logit_bias, top_k: 2, temperature: 3 }, [9, 2]);
}

/** Probabilities 0.4, 0.3, 0.2, 0.1. */
const TENTHS = only({ 12: Math.log(4), 35: Math.log(3), 1: Math.log(2), 22: Math.log(1) });

async function topP(twin: Twin): Promise<void> {
  await expectSupport(twin, { logit_bias: TENTHS, top_p: 0.35 }, [12]);
  await expectSupport(twin, { logit_bias: TENTHS, top_p: 0.65 }, [12, 35]);
  await expectSupport(twin, { logit_bias: TENTHS, top_p: 0.75 }, [12, 35, 1]);
  await expectSupport(twin, { logit_bias: TENTHS, top_p: 0.95 }, [12, 35, 1, 22]);
  // At temperature 0.5 the shares are 16, 9, 4, 1 of 30: two of them are 0.83.
  await expectSupport(twin, { logit_bias: TENTHS, top_p: 0.8, temperature: 0.5 }, [12, 35]);
  // Of the two that top_k keeps, the first has 4 / 7 = 0.57 and not 0.4.
  await expectSupport(twin, { logit_bias: TENTHS, top_p: 0.5, top_k: 2 }, [12]);
  await expectSupport(twin, { logit_bias: TENTHS, top_p: 0.6, top_k: 2 }, [12, 35]);
}

async function minP(twin: Twin): Promise<void> {
  await expectSupport(twin, { logit_bias: TENTHS, min_p: 0.2 }, [12, 35, 1, 22]);
  await expectSupport(twin, { logit_bias: TENTHS, min_p: 0.4 }, [12, 35, 1]);
  await expectSupport(twin, { logit_bias: TENTHS, min_p: 0.6 }, [12, 35]);
  await expectSupport(twin, { logit_bias: TENTHS, min_p: 0.9 }, [12]);
  // Temperature 2: shares go by square roots, 2, 1.73, 1.41, 1.
  await expectSupport(twin, { logit_bias: TENTHS, min_p: 0.6, temperature: 2 }, [12, 35, 1]);
}

async function extremes(twin: Twin): Promise<void> {
  await expectSupport(twin, { logit_bias: TENTHS, top_p: 0 }, [12]);
  await expectSupport(twin, { logit_bias: TENTHS, top_p: 1e-9, min_p: 1, top_k: 40 }, [12]);
  await expectSupport(twin, { logit_bias: TENTHS, temperature: 1e-4 }, [12]);
  const all = new Set(await draws(twin, { temperature: 1e6, logit_bias: TENTHS }, 400));
  check(all.size > 30, `a high temperature reaches all: ${all.size} ids of ${N_BLANK}`);
}

/** Every one of these ids is drawn, and no other, in 300 draws (the rarest here has a tenth). */
async function expectSupport(twin: Twin, changes: Partial<SampleParams>, ids: number[]): Promise<void> {
  const got = [...new Set(await draws(twin, changes, 300))].sort((a, b) => a - b).join();
  const expected = [...ids].sort((a, b) => a - b).join();
  const { logit_bias: _, ...settings } = changes;
  check(got === expected, `${JSON.stringify(settings)}: drew {${got}}, expected {${expected}}`);
}

function chiSquare(drawn: readonly number[], weights: readonly { id: number; p: number }[]): number {
  const known = new Set(weights.map(({ id }) => id));
  check(
    drawn.every((id) => known.has(id)),
    "no token is drawn that has no share",
  );
  return weights.reduce((sum, { id, p }) => {
    const expected = drawn.length * p;
    return sum + (drawn.filter((d) => d === id).length - expected) ** 2 / expected;
  }, 0);
}
