import { entryOf, itemAt } from "../../../models/certain.ts";
import type { DeviceHook, SiteId } from "../../../models/index.ts";
import { isFinite32, type Row, type StepRun } from "../run.ts";
import { dot } from "./attention.ts";

/** Residual sites in order: each one's hooks act on the rows of h in place, then h is read there. */
export function meetResidual(run: StepRun, sites: readonly SiteId[], h: readonly Float64Array[]): void {
  for (const site of sites) readSite(run, site, h);
  for (const [r, values] of h.entries()) {
    if (!isFinite32(values)) itemAt(run.rows, r).entry.result.non_finite ??= "residual";
  }
}

/** One site: each row's hooks in call order, then captures and accumulators of what they left. */
export function readSite(run: StepRun, site: SiteId, rows: readonly Float64Array[]): void {
  for (const [r, values] of rows.entries()) {
    const row = itemAt(run.rows, r);
    for (const hook of row.entry.hooks) if (hook.site === site) applyHook(hook, row, values);
    for (const [i, wanted] of row.entry.ask.captures.entries()) {
      if (wanted === site) itemAt(row.entry.result.captures, i).set(values, row.index * values.length);
    }
    accumulate(run, site, row, values);
  }
}

/** The four forms of a hook, on one row [d_model] in place. */
export function applyHook(hook: DeviceHook, row: Row, h: Float64Array): void {
  if (hook.op === "project") {
    const { tokens } = row.entry.ask;
    row.entry.result.projections[hook.output * tokens.length + row.index] = dot(h, hook.direction);
    return;
  }
  if (hook.positions === "last" && !row.ends_call) return;
  switch (hook.op) {
    case "clamp": {
      const p = dot(h, hook.direction);
      if (p < hook.floor) addScaled(h, hook.direction, hook.floor - p);
      else if (p > hook.ceiling) addScaled(h, hook.direction, hook.ceiling - p);
      return;
    }
    case "shift":
      addScaled(h, hook.delta, 1);
      return;
    case "remove":
      addScaled(h, hook.direction, -dot(h, hook.direction));
      if (hook.delta !== null) addScaled(h, hook.delta, 1);
      return;
    default:
      hook satisfies never;
  }
}

function addScaled(h: Float64Array, vector: Float32Array, factor: number): void {
  for (let i = 0; i < h.length; i++) h[i]! += factor * vector[i]!;
}

function accumulate(run: StepRun, site: SiteId, row: Row, values: Float64Array): void {
  for (const { id, start, end } of row.entry.ask.accumulate) {
    if (row.index < start || row.index >= end) continue;
    const { sites, sum } = entryOf(run.accumulators, id);
    for (const [at, wanted] of sites.entries()) {
      if (wanted !== site) continue;
      for (let i = 0; i < values.length; i++) sum[at * values.length + i]! += values[i]!;
    }
  }
}
