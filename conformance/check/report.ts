/** The passes that a run is checked in: all tokens in one forward call, or the prompt and then token by token. */
export type Pass = "prefill" | "stepwise";

/** The cell that comes closest to its bound, or goes furthest past it. */
export interface Cell {
  /** `blocks.{i}.hook_resid_post` (or another kind that the reference has) or `logits`. */
  site: string;
  /** Index of the token (the row). */
  token: number;
  /** Index in the row of the element that differs most. */
  element: number;
  expected: number;
  got: number;
  /** Relative L2 error of the row; Infinity where it holds what is not finite. */
  relative_error: number;
  /** What the row's error may be. */
  bound: number;
}

/** How far greedy tokens agree with the reference's. */
export interface GreedyReport {
  /** Tokens of the continuation whose choice the reference makes by more than the bound. */
  certain: number;
  /** All tokens of the continuation. */
  n_tokens: number;
  /** The first certain one that came out otherwise: null when all are as they should be. */
  wrong: { token: number; expected: number; got: number } | null;
}

/** One run of a case: its sites and tokens. */
export interface RunReport {
  name: string;
  pass: Pass;
  passed: boolean;
  worst: Cell;
  /** Every site and the logits, each with its worst row. */
  sites: { site: string; worst_relative_error: number; bound: number }[];
  /** The likeliest token of each row of logits against the reference's continuation. */
  greedy: GreedyReport;
}

/** The continuation as `generate` writes it by itself, at temperature 0 under the run's hooks. */
export interface GenerateReport {
  name: string;
  passed: boolean;
  greedy: GreedyReport;
}

/** The first site, in the order of a forward pass, that is further from the f64 truth than its bound. */
export interface DivergedSite extends Cell {
  /** The last site that was still within its bound, and how far it was off; null where this is the first of all. */
  before: { site: string; relative_error: number } | null;
  /** The ops that ran between the two, with the tensors they read. */
  ops: string[];
}

/** What the f64 truth says of a pass, run over the same tokens under the same hooks. */
export type Divergence = { run: string; pass: Pass } & (
  | { first: DivergedSite }
  /** The device agrees with the truth at every site: the reference is of another model, or made otherwise. */
  | { first: null }
  /** Why the truth could not be asked. */
  | { unknown: string }
);

/**
 * What quantising the weights costs, whatever the device: the f64 truth with quantised weights against the reference,
 * over the reference's tokens. It is reported beside the verdict and has no part in it.
 */
export interface QuantisationLoss {
  /** The relative error that DESIGN names for the dtype (section 5): of tiny random models the loss is often more. */
  compared_with: number;
  /** The row that is furthest off, of all runs. */
  worst: Omit<Cell, "bound"> & { name: string };
}

/** What became of a case. */
export interface CaseReport {
  case: string;
  /** `model_type` of the model's config. */
  architecture: string;
  passed: boolean;
  device: { kind: string; description: string };
  /** What the device ran in: `node 20.20.2`, `chromium 156`, `workerd`. */
  runtime: string;
  dtype: string;
  runs: RunReport[];
  generated: GenerateReport[];
  /** Passes that the reference says nothing about, and why. */
  skipped: { name: string; pass: Pass; reason: string }[];
  /** Where it first went wrong, of the first pass that failed (or the worst, where asked); null where nobody asked. */
  divergence: Divergence | null;
  /** With q8 and q4 alone: there, the rows of `runs` are judged by the f64 truth with weights quantised alike. */
  quantisation: QuantisationLoss | null;
  /** The worst cell of all runs. */
  worst: Cell & { name: string; pass: Pass };
}
