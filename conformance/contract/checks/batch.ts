import { itemAt, present } from "../../../models/certain.ts";
import { rowError } from "../../bounds.ts";
import { check } from "../assert.ts";
import type { Check } from "../check.ts";
import { GREEDY } from "../params.ts";
import { Random } from "../random.ts";
import { TINIES } from "../tiny.ts";
import type { Ask, Twin } from "../twin.ts";
import { everyKind, everySite, residualSites } from "./sites.ts";

const [gqa, odd, windowed] = [TINIES[0], TINIES[1], TINIES[2]];

export const batchChecks: Check[] = [
  ...[gqa, odd, windowed].map(
    (tiny): Check => ({
      name: `prefill and decode in one batch, each entry with hooks of its own (${tiny.name})`,
      tiny,
      run: mixedBatch,
    }),
  ),
  { name: "an entry's results are those it has alone", tiny: odd, run: aloneOrTogether },
  { name: "thirty entries of one token", tiny: gqa, run: manyDecodes },
  { name: "a copied block diverges from its original", tiny: gqa, run: copyThenDiverge },
  { name: "two sequences read the same whole blocks in one step", tiny: windowed, run: sharedPrefix },
  { name: "blocks are used again after they were freed", tiny: odd, run: reuseBlocks },
  { name: "block tables in any order", tiny: gqa, run: shuffledTables },
  { name: "a position may be written again (truncate, then other tokens)", tiny: gqa, run: rewrite },
  { name: "an empty batch gives no results", tiny: gqa, run: emptyBatch },
];

/** Entries of many lengths at many positions, over several steps, with other wants each. */
async function mixedBatch(twin: Twin): Promise<void> {
  const random = new Random(61);
  const { d_vocab } = twin.program;
  const sites = residualSites(twin);
  const lines = [0, 1, 2, 3, 4, 5].map((n) => ({
    sequence: twin.sequence(),
    hooks:
      n === 0
        ? undefined
        : twin.hooks(
            itemAt(everyKind(twin, itemAt(sites, n % sites.length), n, n % 2 === 0 ? "all" : "last"), n),
          ),
  }));
  const lengths = [
    [5, 1, 17, 0, 2, 33],
    [1, 1, 1, 9, 0, 1],
    [1, 20, 1, 1, 3, 1],
    [0, 1, 1, 1, 1, 1],
  ];
  for (const [s, step] of lengths.entries()) {
    const asks = lines.flatMap(({ sequence, hooks }, n): Ask[] => {
      const length = itemAt(step, n);
      if (length === 0) return [];
      return [
        {
          sequence,
          hooks,
          tokens: random.tokens(length, d_vocab),
          ends_call: (n + s) % 3 !== 0,
          logits: itemAt(["none", "last", "all"] as const, (n + s) % 3),
          captures: n % 2 === 0 ? everySite(twin) : [],
          sample: n === 1 ? GREEDY : null,
        },
      ];
    });
    await twin.step(asks);
  }
}

async function aloneOrTogether(twin: Twin): Promise<void> {
  const random = new Random(71);
  const asks = [12, 1, 5].map((length) => ({ tokens: random.tokens(length, 97), captures: everySite(twin) }));
  const together = await twin.step(asks.map((ask) => ({ ...ask, sequence: twin.sequence(), logits: "all" })));
  for (const [i, ask] of asks.entries()) {
    const alone = await twin.run({ ...ask, sequence: twin.sequence(), logits: "all" });
    const a = present(alone.device.logits, "logits");
    const b = present(itemAt(together, i).device.logits, "logits");
    check(rowError(a, b, 0, a.length).relative_error < 2e-6, `entry ${i} alone and in a batch`);
  }
}

async function manyDecodes(twin: Twin): Promise<void> {
  const random = new Random(73);
  const sequences = Array.from({ length: 30 }, () => twin.sequence());
  for (let n = 0; n < 10; n++) {
    await twin.step(
      sequences.map((sequence) => ({
        sequence,
        tokens: random.tokens(1, 61),
        captures: n === 9 ? [14] : [],
      })),
    );
  }
}

async function copyThenDiverge(twin: Twin): Promise<void> {
  const random = new Random(81);
  const length = twin.device.block_size + Math.ceil(twin.device.block_size / 2);
  const first = twin.sequence();
  await twin.run({ sequence: first, tokens: random.tokens(length, 61), logits: "none" });
  const second = await twin.fork(first);
  for (let n = 0; n < 3; n++) {
    await twin.step([
      { sequence: first, tokens: [7 + n], captures: everySite(twin) },
      { sequence: second, tokens: [30 + n], captures: everySite(twin) },
    ]);
  }
}

async function sharedPrefix(twin: Twin): Promise<void> {
  const random = new Random(83);
  const first = twin.sequence();
  const tokens = random.tokens(2 * twin.device.block_size, 61);
  await twin.run({ sequence: first, tokens, logits: "none" });
  const others = [await twin.fork(first), await twin.fork(first), first];
  for (let n = 0; n < 3; n++) {
    await twin.step(
      others.map((sequence) => ({ sequence, tokens: random.tokens(n + 1, 61), logits: "all" })),
    );
  }
}

async function reuseBlocks(twin: Twin): Promise<void> {
  const random = new Random(87);
  for (let n = 0; n < 4; n++) {
    const sequences = [twin.sequence(), twin.sequence()];
    for (const length of [19 - n, 1, 1]) {
      await twin.step(
        sequences.map((sequence) => ({ sequence, tokens: random.tokens(length, 97), captures: [14] })),
      );
    }
    for (const sequence of sequences.reverse()) twin.free(sequence);
  }
}

async function shuffledTables(twin: Twin): Promise<void> {
  const sequence = twin.sequence();
  sequence.device = (await twin.device.allocBlocks(6)).reverse();
  sequence.truth = await twin.truth.allocBlocks(6);
  const swap = (list: number[]) => ([list[1], list[4]] = [itemAt(list, 4), itemAt(list, 1)]);
  swap(sequence.device);
  const random = new Random(89);
  const length = 5 * twin.device.block_size + 1;
  await twin.run({ sequence, tokens: random.tokens(length, 61), logits: "all" });
  await twin.run({ sequence, tokens: random.tokens(1, 61), logits: "all" });
}

async function rewrite(twin: Twin): Promise<void> {
  const random = new Random(91);
  const sequence = twin.sequence();
  await twin.run({ sequence, tokens: random.tokens(20, 61), logits: "none" });
  sequence.n_tokens = 11;
  await twin.run({ sequence, tokens: random.tokens(6, 61), logits: "all", captures: everySite(twin) });
}

async function emptyBatch(twin: Twin): Promise<void> {
  check((await twin.step([])).length === 0, "no results");
}
