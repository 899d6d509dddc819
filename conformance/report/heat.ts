import { SITE_KINDS } from "../../models/index.ts";
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

/** Each site of a case that a run compared, with the worst of all its runs and passes. */
export function heatRow({ runs }: Pick<CaseReport, "runs">): Map<string, HeatCell> {
  const cells = new Map<string, HeatCell>();
  for (const { name, pass, sites } of runs) {
    for (const { site, worst_relative_error: relative_error, bound } of sites) {
      const share = shareOf({ relative_error, bound });
      const before = cells.get(site);
      if (before !== undefined && before.share >= share) continue;
      cells.set(site, { site, share, relative_error, bound, run: name, pass });
    }
  }
  return cells;
}

/** A column of the heat map: a site of a block, `kind` short (`mid`, `attn`), or the logits (block Infinity). */
export interface HeatColumn {
  site: string;
  block: number;
  kind: string;
}

/** Every site of any of the rows in the order of a forward pass, the logits last. */
export function heatColumns(rows: readonly Map<string, HeatCell>[]): HeatColumn[] {
  const sites = new Set(rows.flatMap((row) => [...row.keys()]));
  const order = (site: string) => SITE_KINDS.findIndex((kind) => site.endsWith(kind));
  return [...sites]
    .map((site) => {
      const [, block, kind] = /^blocks\.(\d+)\.hook_(?:resid_)?(\w+?)(?:_out)?$/.exec(site) ?? [];
      return { site, block: block === undefined ? Infinity : Number(block), kind: kind ?? site };
    })
    .sort((a, b) => (a.block === b.block ? order(a.site) - order(b.site) : a.block - b.block));
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
