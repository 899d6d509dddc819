import fc from "fast-check";
import { itemAt, lastOf } from "../../../models/certain.ts";
import type { Check } from "../check.ts";
import { GREEDY, sampling } from "../params.ts";
import { Random } from "../random.ts";
import { TINIES } from "../tiny.ts";
import type { Ask, Twin, TwinHooks, TwinSequence } from "../twin.ts";
import { everyKind, everySite, residualSites } from "./sites.ts";

/** A property: whatever ragged batches come one after the other, the device agrees with the truth. */
export const anyBatchChecks: Check[] = [...TINIES.slice(0, 5), TINIES[7], TINIES[8]].map((tiny) => ({
  name: `any ragged batches agree with the truth (${tiny.name})`,
  tiny,
  run: anyBatches,
}));

/** One line of a batch: what a sequence does in a step. */
interface Move {
  length: number;
  seed: number;
  ends_call: boolean;
  logits: "none" | "last" | "all";
  capture: boolean;
  draw: "no" | "greedy" | "sampled";
  mean: boolean;
  /** Before the move: nothing, go back some tokens, start again, fork from the sequence before it. */
  first: "go on" | "back" | "again" | "fork";
}

const move: fc.Arbitrary<Move> = fc.record({
  length: fc.oneof(
    { weight: 2, arbitrary: fc.constant(1) },
    { weight: 2, arbitrary: fc.integer({ min: 1, max: 20 }) },
    { weight: 1, arbitrary: fc.constant(0) },
  ),
  seed: fc.nat(1000),
  ends_call: fc.boolean(),
  logits: fc.constantFrom("none", "last", "all"),
  capture: fc.boolean(),
  draw: fc.constantFrom("no", "greedy", "sampled"),
  mean: fc.boolean(),
  first: fc.constantFrom("go on", "go on", "back", "again", "fork"),
});

const history = fc.record({
  hook_seeds: fc.array(fc.nat(40), { minLength: 4, maxLength: 4 }),
  steps: fc.array(fc.array(move, { minLength: 4, maxLength: 4 }), { minLength: 1, maxLength: 5 }),
});

async function anyBatches(twin: Twin): Promise<void> {
  const property = fc.asyncProperty(history, async ({ hook_seeds, steps }) => {
    const lines = hook_seeds.map((seed) => ({ sequence: twin.sequence(), hooks: someHooks(twin, seed) }));
    for (const moves of steps) {
      const before = lines.map(({ sequence }) => sequence);
      const asks: Ask[] = [];
      for (const [n, chosen] of moves.entries()) {
        const line = itemAt(lines, n);
        line.sequence = await prepare(twin, line.sequence, before[n - 1], chosen);
        if (chosen.length > 0) asks.push(toAsk(twin, line.sequence, line.hooks, chosen));
      }
      await twin.step(asks);
    }
  });
  await fc.assert(property, { seed: 20_260_101, numRuns: 12, includeErrorInReport: true });
}

function someHooks(twin: Twin, seed: number): TwinHooks | undefined {
  if (seed % 3 === 0) return undefined;
  const sites = residualSites(twin);
  const pick = (n: number) => {
    const kinds = everyKind(
      twin,
      itemAt(sites, (seed + 2 * n) % sites.length),
      seed + n,
      n === 1 ? "last" : "all",
    );
    return itemAt(kinds, (seed + 3 * n) % kinds.length);
  };
  const vector = new Random(seed).vector(twin.program.d_model);
  return twin.hooks(pick(0), pick(1), { kind: "project", site: "blocks.1.hook_mlp_out", vector }, pick(2));
}

async function prepare(
  twin: Twin,
  sequence: TwinSequence,
  neighbour: TwinSequence | undefined,
  { first, seed, length }: Move,
): Promise<TwinSequence> {
  if (first === "fork" && neighbour !== undefined) return twin.fork(neighbour);
  // Truncating keeps blocks that a fork may share: only a sequence with blocks of its own may write in them.
  if (first === "again" || sequence.n_tokens + length > 200) return twin.sequence();
  if (first === "back") {
    const copy = { ...sequence, n_tokens: sequence.n_tokens - (seed % (sequence.n_tokens + 1)) };
    return twin.fork(copy);
  }
  return sequence;
}

function toAsk(twin: Twin, sequence: TwinSequence, hooks: TwinHooks | undefined, chosen: Move): Ask {
  const { length, seed, draw } = chosen;
  const sites = everySite(twin);
  const some = [itemAt(sites, seed % sites.length), lastOf(sites)];
  const accumulator = chosen.mean ? twin.accumulator(some) : undefined;
  return {
    sequence,
    hooks,
    tokens: new Random(seed).tokens(length, twin.program.d_vocab),
    ends_call: chosen.ends_call,
    logits: chosen.logits,
    captures: chosen.capture ? everySite(twin) : [],
    sample:
      draw === "no" ? null : draw === "greedy" ? GREEDY : sampling({ seed: [seed, 1], top_logprobs: 3 }),
    accumulate: accumulator === undefined ? [] : [{ accumulator, start: seed % length, end: length }],
  };
}
