import { present } from "../../models/certain.ts";
import type { Device, Site } from "../../models/index.ts";
import { type FidelityDtype, relativeBound, rowNorm, worstRow } from "../bounds.ts";
import type { Reference } from "./reference.ts";
import type { Cell, GreedyReport, Pass, RunReport } from "./report.ts";

/** What a device gave for the tokens of a reference. */
export interface Computed {
  captures: Record<Site, Float32Array>;
  logits: Float32Array;
}

/** On what the rows were computed: decides their bounds. */
export interface Made {
  kind: Device["kind"];
  dtype: FidelityDtype;
}

/** Holds every site of every layer, the logits and the greedy choices to the reference. */
export function compareRun(
  name: string,
  pass: Pass,
  reference: Reference,
  computed: Computed,
  { kind, dtype }: Made,
): RunReport {
  const n_tokens = reference.tokens.length;
  const cells = cellsOf(reference, computed, (block) => relativeBound(kind, dtype, block));
  const logits_bound = relativeBound(kind, dtype, reference.n_layers);
  const chosen = (row: number) => likeliest(computed.logits, row, computed.logits.length / n_tokens).id;
  const greedy = compareGreedy(reference, logits_bound, (token) => chosen(token - 1), "go on");
  return {
    name,
    pass,
    passed: cells.every(isWithin) && greedy.wrong === null,
    worst: worstOf(cells),
    sites: cells.map(({ site, relative_error, bound }) => ({
      site,
      worst_relative_error: relative_error,
      bound,
    })),
    greedy,
  };
}

/** The worst row of every site and of the logits, each with the bound of its block (the logits' is `n_layers`). */
export function cellsOf(
  { tokens, sites, logits, n_layers }: Reference,
  computed: Computed,
  bound: (block: number) => number,
): Cell[] {
  const cells = sites.map(({ site, block, values }) =>
    worstCell(site, values, present(computed.captures[site], site), tokens.length, bound(block)),
  );
  return [...cells, worstCell("logits", logits, computed.logits, tokens.length, bound(n_layers))];
}

function isWithin({ relative_error, bound }: Cell): boolean {
  return relative_error <= bound;
}

/** The cell that is furthest past its bound (or nearest to it). */
export function worstOf<C extends Cell>(cells: readonly C[]): C {
  return cells.reduce((a, b) => (b.relative_error / b.bound > a.relative_error / a.bound ? b : a));
}

function worstCell(
  site: string,
  expected: Float32Array,
  got: Float32Array,
  n_tokens: number,
  bound: number,
): Cell {
  const { row, ...error } = worstRow(expected, got, expected.length / n_tokens);
  return { site, token: row, ...error, bound };
}

/**
 * The reference's choices against those of others, wherever its two best logits are further apart than the bound times
 * the row's length: its continuation, or what its rows say where these did not write it.
 *
 * @param chosen the token that stands at an index, or undefined where none does any more
 * @param after_doubt whether rows after an uncertain one still count: not where the tokens were fed back
 */
export function compareGreedy(
  { tokens, n_prompt, is_written, logits }: Reference,
  bound: number,
  chosen: (token: number) => number | undefined,
  after_doubt: "go on" | "stop",
): GreedyReport {
  const d_vocab = logits.length / tokens.length;
  const report: GreedyReport = { certain: 0, n_tokens: tokens.length - n_prompt, wrong: null };
  for (let token = n_prompt; token < tokens.length; token++) {
    const { id, margin } = likeliest(logits, token - 1, d_vocab);
    if (margin <= bound * rowNorm(logits, (token - 1) * d_vocab, d_vocab)) {
      if (after_doubt === "stop") break;
      continue;
    }
    report.certain++;
    const got = chosen(token);
    const expected = is_written ? tokens[token]! : id;
    if (got !== expected) report.wrong ??= { token, expected, got: got ?? -1 };
  }
  return report;
}

/** The likeliest id of a row of logits and its distance from the second. */
function likeliest(logits: Float32Array, row: number, d_vocab: number): { id: number; margin: number } {
  let id = 0;
  let first = Number.NEGATIVE_INFINITY;
  let second = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < d_vocab; i++) {
    const value = logits[row * d_vocab + i]!;
    if (value > first) {
      second = first;
      first = value;
      id = i;
    } else if (value > second) second = value;
  }
  return { id, margin: first - second };
}
