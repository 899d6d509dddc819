import { itemAt } from "../../models/certain.ts";
import { SITE_KINDS, type StepResult, siteName } from "../../models/index.ts";
import { relativeBound, rowNorm, worstRow } from "../bounds.ts";
import { check } from "./assert.ts";
import type { Ask, Twin, TwinAccumulator } from "./twin.ts";

/** Compares the results of one step. What is not a row (tokens, projections, log-probabilities) is bounded by rows. */
export async function compareResults(
  twin: Twin,
  asks: readonly Ask[],
  device: readonly StepResult[],
  truth: readonly StepResult[],
): Promise<void> {
  check(device.length === asks.length, `${device.length} results for ${asks.length} entries`);
  for (const [i, ask] of asks.entries()) {
    const where = `${twin.tiny.name}: entry ${i}`;
    const [got, expected] = [itemAt(device, i), itemAt(truth, i)];
    check(
      got.non_finite === expected.non_finite,
      `${where}: non_finite ${got.non_finite}, expected ${expected.non_finite}`,
    );
    if (expected.non_finite !== null) continue;
    compareRows(twin, ask, got, expected, where);
    compareProjections(twin, ask, got, expected, where);
    compareDraw(twin, ask, got, expected, where);
  }
  for (const accumulator of new Set(
    asks.flatMap(({ accumulate = [] }) => accumulate.map((a) => a.accumulator)),
  )) {
    await compareMeans(twin, accumulator);
  }
}

/** Captures and logits, row by row. */
function compareRows(twin: Twin, ask: Ask, got: StepResult, expected: StepResult, where: string): void {
  const { d_model, d_vocab, n_layers } = twin.program;
  const sites = ask.captures ?? [];
  check(got.captures.length === sites.length, `${where}: ${got.captures.length} captures of ${sites.length}`);
  for (const [i, site] of sites.entries()) {
    const layer = Math.floor(site / SITE_KINDS.length);
    const bound = relativeBound(twin.kind, twin.dtype, layer);
    checkRows(
      itemAt(expected.captures, i),
      itemAt(got.captures, i),
      d_model,
      bound,
      `${where}, ${siteName(site)}`,
    );
  }
  check(
    (got.logits === null) === (expected.logits === null),
    `${where}: logits ${ask.logits ?? "last"} asked`,
  );
  if (expected.logits === null || got.logits === null) return;
  checkRows(
    expected.logits,
    got.logits,
    d_vocab,
    relativeBound(twin.kind, twin.dtype, n_layers),
    `${where}, logits`,
  );
}

function checkRows(
  expected: Float32Array,
  got: Float32Array,
  width: number,
  bound: number,
  where: string,
): void {
  check(got.length === expected.length, `${where}: ${got.length} values, expected ${expected.length}`);
  const worst = worstRow(expected, got, width);
  check(
    worst.relative_error <= bound,
    `${where}, token ${worst.row}: relative error ${worst.relative_error.toExponential(2)} over ${bound.toExponential(2)}` +
      ` (element ${worst.element}: ${worst.got}, expected ${worst.expected})`,
  );
}

/** A projection may be off by the bound times |h|; h is at least of the size of what was read, and of 1. */
function compareProjections(
  twin: Twin,
  ask: Ask,
  got: StepResult,
  expected: StepResult,
  where: string,
): void {
  const n_tokens = ask.tokens.length;
  const want = expected.projections;
  check(
    got.projections.length === want.length,
    `${where}: ${got.projections.length} projections of ${want.length}`,
  );
  const bound = relativeBound(twin.kind, twin.dtype, twin.program.n_layers);
  for (const [i, p] of want.entries()) {
    const off = Math.abs(got.projections[i]! - p);
    const tolerance = bound * Math.max(Math.sqrt(twin.program.d_model), Math.abs(p));
    check(
      off <= tolerance,
      `${where}, projection ${Math.floor(i / n_tokens)}, token ${i % n_tokens}: ${got.projections[i]}, expected ${p}`,
    );
  }
}

/** The drawn token, where it is certain: greedy, with a margin between the two best that no rounding closes. */
function compareDraw(twin: Twin, ask: Ask, got: StepResult, expected: StepResult, where: string): void {
  const { sample = null } = ask;
  check(
    (got.token === -1) === (sample === null),
    `${where}: token ${got.token}, sample asked: ${sample !== null}`,
  );
  check((got.logprobs === null) === (expected.logprobs === null), `${where}: log-probabilities as asked`);
  if (sample === null) return;
  check(
    got.token >= 0 && got.token < twin.program.d_vocab,
    `${where}: token ${got.token} is in the vocabulary`,
  );
  if (sample.temperature === 0 && isCertain(twin, expected)) {
    check(got.token === expected.token, `${where}: greedy token ${got.token}, expected ${expected.token}`);
  }
  if (got.logprobs === null || expected.logprobs === null) return;
  const top = got.logprobs.top;
  check(top.length === expected.logprobs.top.length, `${where}: ${top.length} top log-probabilities`);
  for (const [i, { logprob }] of expected.logprobs.top.entries()) {
    const off = Math.abs(itemAt(top, i).logprob - logprob);
    check(off < 1e-3, `${where}: top log-probability ${i} is ${itemAt(top, i).logprob}, expected ${logprob}`);
  }
  if (got.token === expected.token) {
    const off = Math.abs(got.logprobs.token - expected.logprobs.token);
    check(off < 1e-3, `${where}: log-probability ${got.logprobs.token}, expected ${expected.logprobs.token}`);
  }
}

/** Without logits to judge the margin by, a greedy token is taken to be certain: random rows have wide margins. */
function isCertain(twin: Twin, { logits }: StepResult): boolean {
  if (logits === null) return true;
  const { d_vocab, n_layers } = twin.program;
  const last = logits.subarray(logits.length - d_vocab);
  const [first = Number.NaN, second = Number.NEGATIVE_INFINITY] = Float32Array.from(last).sort().reverse();
  const tolerance = relativeBound(twin.kind, twin.dtype, n_layers) * rowNorm(last, 0, d_vocab);
  return first - second > tolerance || first === second;
}

async function compareMeans(twin: Twin, { device, truth, sites }: TwinAccumulator): Promise<void> {
  const got = await twin.device.readAccumulator(device);
  const expected = await twin.truth.readAccumulator(truth);
  check(
    got.count === expected.count,
    `${twin.tiny.name}: mean over ${got.count} tokens, expected ${expected.count}`,
  );
  const { d_model, n_layers } = twin.program;
  const where = `${twin.tiny.name}: mean at ${sites.map(siteName).join(", ")}`;
  checkRows(expected.mean, got.mean, d_model, relativeBound(twin.kind, twin.dtype, n_layers), where);
}
