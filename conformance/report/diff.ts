import type { Pass } from "../check/report.ts";
import type { ReadCase } from "./read.ts";

/** A site whose worst error is another in B, by more than the factor. */
export interface MovedSite {
  case: string;
  run: string;
  pass: Pass;
  site: string;
  /** The worst relative error there in each; Infinity where a value was not finite. */
  a: number;
  b: number;
}

export interface RunDiff {
  /** B errs by more than `factor` times what A does somewhere, or a case that passed in A fails in B. */
  worse: boolean;
  factor: number;
  /** Cases that both have, and sites compared in them. */
  n_cases: number;
  n_sites: number;
  fails_now: string[];
  passes_now: string[];
  only_in_a: string[];
  only_in_b: string[];
  /** The furthest moved first. */
  worse_sites: MovedSite[];
  better_sites: MovedSite[];
}

/** Half a unit in the last place of a float32, relative: below it, one error is as good as another. */
const ROUNDING = 2 ** -24;

/** What B does otherwise than A: cases by name, then each run, pass and site that both have. */
export function diffRuns(a: readonly ReadCase[], b: readonly ReadCase[], factor: number): RunDiff {
  const in_b = new Map(b.map((one) => [one.case, one]));
  const in_a = new Set(a.map((one) => one.case));
  const both = a.flatMap((one) => {
    const other = in_b.get(one.case);
    return other === undefined ? [] : [[one, other] as const];
  });
  const sites = both.flatMap(([one, other]) => pairSites(one, other));
  const moved = (by: (site: MovedSite) => number) =>
    sites.filter((site) => by(site) > factor).sort((x, y) => by(y) - by(x));
  const worse_sites = moved(growth);
  const fails_now = both.filter(([one, other]) => one.passed && !other.passed).map(([one]) => one.case);
  return {
    worse: worse_sites.length > 0 || fails_now.length > 0,
    factor,
    n_cases: both.length,
    n_sites: sites.length,
    fails_now,
    passes_now: both.filter(([one, other]) => !one.passed && other.passed).map(([one]) => one.case),
    only_in_a: a.filter((one) => !in_b.has(one.case)).map((one) => one.case),
    only_in_b: b.filter((one) => !in_a.has(one.case)).map((one) => one.case),
    worse_sites,
    better_sites: moved((site) => growth({ a: site.b, b: site.a })),
  };
}

/** By what B's error is larger than A's, both taken as no less than rounding. */
export function growth({ a, b }: Pick<MovedSite, "a" | "b">): number {
  if (a === b) return 1;
  return Math.max(b, ROUNDING) / Math.max(a, ROUNDING);
}

function pairSites(a: ReadCase, b: ReadCase): MovedSite[] {
  const key = (run: string, pass: Pass, site: string) => JSON.stringify([run, pass, site]);
  const errors = new Map(
    b.runs.flatMap(({ name, pass, sites }) =>
      sites.map(({ site, worst_relative_error }) => [key(name, pass, site), worst_relative_error] as const),
    ),
  );
  return a.runs.flatMap(({ name, pass, sites }) =>
    sites.flatMap(({ site, worst_relative_error }) => {
      const error = errors.get(key(name, pass, site));
      if (error === undefined) return [];
      return [{ case: a.case, run: name, pass, site, a: worst_relative_error, b: error }];
    }),
  );
}
