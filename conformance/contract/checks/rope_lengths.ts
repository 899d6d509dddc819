import { frequenciesAt } from "../../../models/index.ts";
import { check, checkRefused } from "../assert.ts";
import type { Check } from "../check.ts";
import { stepEntry } from "../entry.ts";
import { Random } from "../random.ts";
import { BY_LENGTH } from "../tiny.ts";
import type { Twin } from "../twin.ts";
import { everySite } from "./sites.ts";

/** Ropes that depend on the length of the forward call, which only the caller knows. */
export const ropeLengthChecks: Check[] = BY_LENGTH.flatMap((tiny): Check[] => [
  { name: `every chunk turns by the length of its whole call (${tiny.name})`, tiny, run: chunks },
  { name: `every token turns by the length of its own call (${tiny.name})`, tiny, run: tokensOfManyCalls },
  { name: `entries of one step turn by lengths of their own (${tiny.name})`, tiny, run: manyLengths },
  { name: `cached keys stay as they were turned (${tiny.name})`, tiny, run: keptKeys },
  { name: `a step refuses lengths that are missing or too short (${tiny.name})`, tiny, run: refusals },
]);

/** The length that the tinies of `BY_LENGTH` begin to change at. */
function borderOf({ tiny }: Twin): number {
  const [rope] = tiny.decoder.spec.ropes;
  check(rope?.beyond !== undefined, "a rope that depends on length comes first");
  const { length } = rope.beyond;
  check(frequenciesAt(rope, length).join() !== frequenciesAt(rope, length + 1).join(), "the border shows");
  return length;
}

async function chunks(twin: Twin): Promise<void> {
  const random = new Random(31);
  const length = borderOf(twin) + 9;
  const sequence = twin.sequence();
  for (const count of [5, 1, length - 8, 2]) {
    await twin.run({
      sequence,
      tokens: random.tokens(count, twin.program.d_vocab),
      rope_lengths: new Array(count).fill(length),
      logits: "all",
      captures: everySite(twin),
    });
  }
}

/** As a cache is computed again after its sequence was fed in calls of many lengths. */
async function tokensOfManyCalls(twin: Twin): Promise<void> {
  const border = borderOf(twin);
  const calls = [border - 4, border, border + 1, border + 2, border + 3, border + 11];
  const rope_lengths = calls.flatMap((length, i) =>
    new Array<number>(length - (calls[i - 1] ?? 0)).fill(length),
  );
  const tokens = new Random(32).tokens(rope_lengths.length, twin.program.d_vocab);
  const ask = { tokens, rope_lengths, logits: "all" as const, captures: everySite(twin) };
  await twin.run({ ...ask, sequence: twin.sequence() });
  const fed = twin.sequence();
  for (const [i, length] of calls.entries()) {
    const start = calls[i - 1] ?? 0;
    await twin.run({ sequence: fed, tokens: tokens.subarray(start, length), logits: "all" });
  }
}

async function manyLengths(twin: Twin): Promise<void> {
  const random = new Random(33);
  const border = borderOf(twin);
  const lines = [border - 5, border, border + 1, border + 30].map((length) => ({
    sequence: twin.sequence(),
    length,
  }));
  for (const count of [3, 1, 2]) {
    await twin.step(
      lines.map(({ sequence, length }) => ({
        sequence,
        tokens: random.tokens(count, twin.program.d_vocab),
        rope_lengths: new Array(count).fill(length),
        logits: "all",
        captures: everySite(twin),
      })),
    );
  }
}

async function keptKeys(twin: Twin): Promise<void> {
  const random = new Random(34);
  const sequence = twin.sequence();
  const tokens = (count: number) => random.tokens(count, twin.program.d_vocab);
  await twin.run({ sequence, tokens: tokens(borderOf(twin)), logits: "none" });
  for (let n = 0; n < 4; n++) {
    await twin.run({ sequence, tokens: tokens(1), logits: "all", captures: everySite(twin) });
  }
}

async function refusals(twin: Twin): Promise<void> {
  const blocks = Int32Array.from(await twin.device.allocBlocks(2));
  const entry = { tokens: Int32Array.of(1, 2, 3), blocks, position: 4 };
  const refused = (what: string, rope_lengths: Int32Array | null) =>
    checkRefused(["bad_request"], what, () => twin.device.step([stepEntry({ ...entry, rope_lengths })]));
  await refused("no lengths", null);
  await refused("fewer lengths than tokens", Int32Array.of(7, 7));
  await refused("a length before the token's place", Int32Array.of(7, 7, 6));
  await refused("a length of 0", Int32Array.of(0, 7, 7));
  await twin.device.step([stepEntry({ ...entry, rope_lengths: Int32Array.of(5, 7, 900) })]);
}
