import { present } from "../../../models/certain.ts";
import type { Hook } from "../../../models/index.ts";
import { sha256 } from "../../platform/index.ts";
import type { Axis } from "../axis/axis.ts";
import { type Caps, randomControl } from "../caps/caps.ts";
import type { SuiteItem } from "./suites.ts";

/** What every prompt is answered under: a set of hooks with a name. */
export interface Condition {
  /** `uncapped`, `capped` or `control <n>`. */
  name: string;
  hooks: readonly Hook[];
}

/** Uncapped, capped where there are caps, and the same caps on random directions. */
export function conditionsOf(axis: Axis | null, caps: Caps | null, n_controls: number): Condition[] {
  const controls = Array.from({ length: n_controls }, (_, i) => ({
    name: `control ${i}`,
    // Only asked for where there are both.
    hooks: randomControl(present(axis, "an axis"), present(caps, "caps"), i).hooks,
  }));
  const capped = caps === null ? [] : [{ name: "capped", hooks: caps.hooks }];
  return [{ name: "uncapped", hooks: [] }, ...capped, ...controls];
}

/** A digest of everything that hooks do. */
export async function hooksDigest(hooks: readonly Hook[]): Promise<string> {
  const parts = hooks.flatMap((hook) => {
    const { vector, ...rest } = hook;
    return [JSON.stringify(rest), new Uint8Array(vector.slice().buffer)];
  });
  return `sha256:${await sha256(...parts)}`;
}

/** By suite: how many items it has, and a digest of them in their order. */
export async function suiteDigests(
  items: readonly SuiteItem[],
): Promise<Record<string, { items: number; digest: string }>> {
  const names = [...new Set(items.map(({ suite }) => suite))];
  const entries = names.map(async (name) => {
    const own = items.filter(({ suite }) => suite === name);
    return [name, { items: own.length, digest: `sha256:${await sha256(JSON.stringify(own))}` }] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}
