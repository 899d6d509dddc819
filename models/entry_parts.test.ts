import fc from "fast-check";
import { expect, it } from "vitest";
import { stepEntry } from "../conformance/contract/entry.ts";
import { GREEDY } from "../conformance/contract/params.ts";
import { cutEntry, joinResults, type StepEntry, type StepResult } from "./index.ts";

const D_MODEL = 2;
const D_VOCAB = 3;

/** A device whose every number says which token, at which position, it is of. */
function pretend(n_projections: number) {
  const summed: string[] = [];
  const run = (entry: StepEntry): StepResult => {
    const { tokens, position, ends_call, sample, logits, captures, accumulate } = entry;
    const rows = (width: number, what: number, from = 0) =>
      Float32Array.from({ length: (tokens.length - from) * width }, (_, i) => {
        const index = from + Math.floor(i / width);
        const is_end = ends_call && index === tokens.length - 1;
        return (
          (1000 * what + 100 * (position + index) + 10 * (i % width) + tokens[index]!) * (is_end ? -1 : 1)
        );
      });
    for (const { id, start, end } of accumulate) {
      for (let i = start; i < end; i++) summed.push(`${id}: ${tokens[i]} at ${position + i}`);
    }
    const projections = Array.from({ length: n_projections }, (_, row) => [...rows(1, row)]);
    return {
      non_finite: null,
      token: sample === null ? -1 : position + tokens.length,
      logprobs: null,
      logits: logits === "none" ? null : rows(D_VOCAB, 7, logits === "all" ? 0 : tokens.length - 1),
      captures: captures.map((site) => rows(D_MODEL, 8 + site)),
      projections: Float32Array.from(projections.flat()),
    };
  };
  return { run, summed };
}

const asks = fc.integer({ min: 1, max: 12 }).chain((n_tokens) =>
  fc.record({
    tokens: fc.array(fc.nat(9), { minLength: n_tokens, maxLength: n_tokens }),
    position: fc.nat(5),
    ends_call: fc.boolean(),
    draws: fc.boolean(),
    logits: fc.constantFrom("none", "last", "all"),
    captures: fc.uniqueArray(fc.nat(4), { maxLength: 3 }),
    spans: fc.array(fc.tuple(fc.nat(n_tokens), fc.nat(n_tokens)), { maxLength: 3 }),
    n_projections: fc.nat(3),
    cuts: fc.uniqueArray(fc.integer({ min: 1, max: n_tokens }), { maxLength: 4 }),
  }),
);

it("an entry cut anywhere gives, part after part, what it gives whole", () => {
  const property = fc.property(asks, ({ tokens, draws, spans, n_projections, cuts, ...asked }) => {
    const entry = stepEntry({
      ...asked,
      tokens: Int32Array.from(tokens),
      blocks: Int32Array.of(4, 2),
      hooks: 3,
      sample: draws ? GREEDY : null,
      accumulate: spans.map(([a, b], id) => ({ id, start: Math.min(a, b), end: Math.max(a, b) })),
    });
    const n_tokens = tokens.length;
    const bounds = [...new Set([0, ...cuts, n_tokens])].sort((a, b) => a - b);
    const [whole, cut] = [pretend(n_projections), pretend(n_projections)];
    const parts = bounds.slice(1).map((end, i) => cutEntry(entry, bounds[i]!, end));
    expect(joinResults(parts.map(cut.run), n_tokens)).toEqual(whole.run(entry));
    expect(cut.summed.sort()).toEqual(whole.summed.sort());
    // Only the last part draws, and ends the call: the others are followed by tokens of the same call.
    expect(parts.slice(0, -1).some(({ sample, ends_call }) => sample !== null || ends_call)).toBe(false);
    expect(parts.at(-1)).toMatchObject({ sample: entry.sample, ends_call: entry.ends_call });
    expect(parts.every(({ blocks, hooks }) => blocks === entry.blocks && hooks === 3)).toBe(true);
  });
  fc.assert(property, { numRuns: 500 });
});

it("a part that is not finite spoils the whole", () => {
  const { run } = pretend(0);
  const entry = stepEntry({ tokens: Int32Array.of(1, 2, 3), blocks: Int32Array.of(0) });
  const parts = [0, 1, 2].map((i) => run(cutEntry(entry, i, i + 1)));
  parts[1]!.non_finite = "residual";
  expect(joinResults(parts, 3).non_finite).toBe("residual");
});
