import type { CaseReport, RunReport } from "../check/report.ts";

/** The share of its bound that a row takes: 1 is on the bound; Infinity where a value is not finite. */
export function shareOf({ relative_error, bound }: { relative_error: number; bound: number }): number {
  return relative_error / bound;
}

/** The worst that any run of a case gave at one site. */
export interface HeatCell {
  site: string;
  share: number;
  relative_error: number;
  bound: number;
  /** The run and the pass that gave it. */
  run: string;
  pass: RunReport["pass"];
}

/** Each site of a case in the order of a forward pass, logits last, with the worst of all its runs and passes. */
export function heatRow({ runs }: Pick<CaseReport, "runs">): HeatCell[] {
  const cells = new Map<string, HeatCell>();
  for (const { name, pass, sites } of runs) {
    for (const { site, worst_relative_error: relative_error, bound } of sites) {
      const share = shareOf({ relative_error, bound });
      const before = cells.get(site);
      if (before !== undefined && before.share >= share) continue;
      cells.set(site, { site, share, relative_error, bound, run: name, pass });
    }
  }
  return [...cells.values()];
}

/** Reports by what `key` says of them, in the order of first mention. */
export function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = key(item);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [item]);
    else group.push(item);
  }
  return groups;
}
