import { check } from "../assert.ts";
import type { Check } from "../check.ts";
import { GREEDY, sampling } from "../params.ts";
import { Random } from "../random.ts";
import { TINIES } from "../tiny.ts";
import type { Twin } from "../twin.ts";
import { DIAL } from "./blank.ts";
import { everySite } from "./sites.ts";

/** NaN or infinity anywhere is an error of the entry it is in, never a token and never another entry's. */
export const nonFiniteChecks: Check[] = [
  { name: "an overflowing residual stream is its entry's error only", tiny: TINIES[0], run: residual },
  { name: "an overflowing row of logits is its entry's error only", tiny: DIAL, run: logits },
  { name: "a sequence is usable again after its blocks are rewritten", tiny: TINIES[1], run: recovers },
];

function overflow(twin: Twin, layer: number) {
  const delta = new Float32Array(twin.program.d_model);
  delta[3] = 3e38;
  const hook = { op: "shift" as const, site: layer * 5 + 2, positions: "last" as const, delta };
  return twin.deviceHooks([hook, hook]);
}

async function residual(twin: Twin): Promise<void> {
  const random = new Random(2);
  for (const layer of [0, 1, 2]) {
    const hooks = overflow(twin, layer);
    const ask = (length: number) => ({
      sequence: twin.sequence(),
      tokens: random.tokens(length, 61),
      captures: everySite(twin),
      sample: GREEDY,
      logits: "all" as const,
    });
    const results = await twin.step([ask(3), { ...ask(5), hooks }, ask(1), { ...ask(1), hooks }, ask(9)]);
    const reports = results.map(({ device }) => device.non_finite);
    check(
      JSON.stringify(reports) === '[null,"residual",null,"residual",null]',
      `overflow in layer ${layer}: ${JSON.stringify(reports)}`,
    );
    // Nothing asked for but to run: it is seen all the same.
    const silent = await twin.run({ ...ask(2), hooks, captures: [], sample: null, logits: "none" });
    check(silent.device.non_finite === "residual", "seen without anything read back");
  }
}

/** Token 2 of the dial makes a logit of 1.2e39. */
async function logits(twin: Twin): Promise<void> {
  for (const sample of [GREEDY, sampling()]) {
    const asks = [0, 2, 1].map((token) => ({ sequence: twin.sequence(), tokens: [token], sample }));
    const reports = (await twin.step(asks)).map(({ device }) => device.non_finite);
    check(JSON.stringify(reports) === '[null,"logits",null]', `reports ${JSON.stringify(reports)}`);
  }
  const { device } = await twin.run({ sequence: twin.sequence(), tokens: [2], logits: "none" });
  check(device.non_finite === null, "logits that nobody asked for are not computed");
}

async function recovers(twin: Twin): Promise<void> {
  const sequence = twin.sequence();
  const tokens = new Random(3).tokens(12, 97);
  await twin.run({ sequence, tokens, hooks: overflow(twin, 0) });
  sequence.n_tokens = 0;
  await twin.run({ sequence, tokens, logits: "all", captures: everySite(twin) });
  await twin.run({ sequence, tokens: [5], logits: "all" });
}
