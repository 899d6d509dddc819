import { check } from "../assert.ts";
import type { Check } from "../check.ts";
import { GREEDY } from "../params.ts";
import { Random } from "../random.ts";
import { TINIES } from "../tiny.ts";
import type { Twin } from "../twin.ts";
import { everyKind, everySite } from "./sites.ts";

const [gqa, odd] = [TINIES[0], TINIES[1]];

export const readbackChecks: Check[] = [
  { name: "logits none, last and all", tiny: odd, run: logitsAsAsked },
  { name: "captures come in the order asked, any subset, any order, twice", tiny: gqa, run: captureOrder },
  { name: "results stay as they were when later steps run", tiny: gqa, run: resultsAreKept },
  { name: "means over spans at all sites, over steps and entries", tiny: odd, run: meansOverSpans },
  { name: "a mean is of what the hooks left", tiny: gqa, run: meanAfterHooks },
  { name: "a mean over no tokens is zeros", tiny: gqa, run: emptyMean },
];

async function logitsAsAsked(twin: Twin): Promise<void> {
  const tokens = new Random(3).tokens(9, 97);
  const [none, last, all, drawn] = await twin.step([
    { sequence: twin.sequence(), tokens, logits: "none" },
    { sequence: twin.sequence(), tokens, logits: "last" },
    { sequence: twin.sequence(), tokens, logits: "all" },
    { sequence: twin.sequence(), tokens, logits: "none", sample: GREEDY },
  ]);
  check(none.device.logits === null, "none gives null");
  check(last.device.logits?.length === 97, "last gives one row");
  check(all.device.logits?.length === 9 * 97, "all gives a row a token");
  check(drawn.device.logits === null && drawn.device.token >= 0, "a token needs no logits read back");
  for (const { device } of [none, last, all]) check(device.token === -1, "no token unless asked");
}

async function captureOrder(twin: Twin): Promise<void> {
  const tokens = new Random(5).tokens(4, 61);
  await twin.step([
    { sequence: twin.sequence(), tokens, captures: [13, 2, 2, 0] },
    { sequence: twin.sequence(), tokens, captures: [...everySite(twin)].reverse() },
    { sequence: twin.sequence(), tokens, captures: [] },
  ]);
}

async function resultsAreKept(twin: Twin): Promise<void> {
  const random = new Random(6);
  const hooks = twin.hooks({
    kind: "project",
    site: "blocks.0.hook_resid_mid",
    vector: random.vector(twin.program.d_model),
  });
  const sequence = twin.sequence();
  const ask = { sequence, hooks, captures: [4], logits: "all" as const };
  const { device } = await twin.run({ ...ask, tokens: [4, 5, 6] });
  const before = structuredClone(device);
  await twin.run({ ...ask, tokens: [7, 8, 9, 10] });
  check(JSON.stringify(device) === JSON.stringify(before), "the first step's result did not change");
}

async function meansOverSpans(twin: Twin): Promise<void> {
  const random = new Random(7);
  const some = twin.accumulator([2, 4, 14]);
  const every = twin.accumulator(everySite(twin));
  const [a, b] = [twin.sequence(), twin.sequence()];
  const tokens = (n: number) => random.tokens(n, 97);
  await twin.step([
    { sequence: a, tokens: tokens(8), accumulate: [{ accumulator: some, start: 2, end: 7 }] },
    {
      sequence: b,
      tokens: tokens(5),
      accumulate: [
        { accumulator: some, start: 0, end: 5 },
        { accumulator: every, start: 4, end: 5 },
        { accumulator: every, start: 0, end: 2 },
      ],
    },
  ]);
  await twin.step([
    { sequence: a, tokens: tokens(1), accumulate: [{ accumulator: every, start: 0, end: 1 }] },
    { sequence: b, tokens: tokens(3), accumulate: [{ accumulator: some, start: 1, end: 1 }] },
  ]);
  check((await twin.device.readAccumulator(some.device)).count === 10, "ten tokens in the first mean");
  check((await twin.device.readAccumulator(every.device)).count === 4, "four tokens in the second mean");
  twin.device.freeAccumulator(some.device);
}

async function meanAfterHooks(twin: Twin): Promise<void> {
  const hooks = twin.hooks(...everyKind(twin, "blocks.1.hook_resid_post", 11, "all").slice(0, 4));
  const accumulator = twin.accumulator([9, 10]);
  await twin.run({
    sequence: twin.sequence(),
    tokens: new Random(8).tokens(6, 61),
    hooks,
    accumulate: [{ accumulator, start: 0, end: 6 }],
  });
}

async function emptyMean(twin: Twin): Promise<void> {
  const { mean, count } = await twin.device.readAccumulator(twin.accumulator([0, 3]).device);
  check(count === 0 && mean.length === 2 * twin.program.d_model, "a mean of the right length over none");
  check(
    mean.every((x) => x === 0),
    "zeros",
  );
}
