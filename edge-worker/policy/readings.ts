import { itemAt } from "../../models/certain.ts";
import type { Hook } from "../../models/index.ts";
import type { Caps } from "../../sdk/science/index.ts";
import type { GeneratedToken, GenerateResult } from "../../sdk/types.ts";
import type { ServedModel } from "../service/served_model.ts";

/**
 * What is read along with every reply. Under a cap: the projection on the cap's vector at the first capped layer, where
 * the stream comes in uncapped, before and after it. Where there is an axis: the projection on it at its target layer. A
 * request may name one layer for both.
 */

/** Names of our readings; a client's may not begin like them. */
export const OWN_NAMES = "capstan.";
const BEFORE = "capstan.before";
const AFTER = "capstan.after";
const AXIS = "capstan.axis";

/** The hooks of a reply, and how its readings are found among the projections. */
export interface ReadHooks {
  readonly hooks: Hook[];
  /** The first capped layer, or the one that was asked for where it is capped; null where no cap acts. */
  readonly cap_layer: number | null;
  /** The axis's target layer, or the one that was asked for; null where there is no axis. */
  readonly axis_layer: number | null;
}

/** Projections of one token, or means over a reply; what is not read is absent. */
export interface Readings<T> {
  before?: T;
  after?: T;
  axis?: T;
}

/** A reply's telemetry as JSON holds it. */
export interface Telemetry {
  /** Means over the reply's tokens; null for an empty reply. */
  projection: Readings<number | null>;
  cap_layer?: number;
  axis_layer?: number;
  /** Positions that the cap moved at its first layer, of how many, and how far on average. */
  touched?: number;
  tokens?: number;
  mean_shift?: number;
}

/**
 * @param caps the caps that act, in order
 * @param own hooks of the client
 * @param layer where to read; null for where a cap begins, and for the axis's target layer
 */
export function readHooks(
  { axis }: Pick<ServedModel, "axis">,
  caps: readonly Caps[],
  own: readonly Hook[],
  layer: number | null = null,
): ReadHooks {
  const [main] = caps;
  const at = Math.max(0, main?.data.layers.indexOf(layer ?? -1) ?? 0);
  const cap_layer = main?.data.layers[at] ?? null;
  const axis_layer = axis === null ? null : (layer ?? axis.target_layer);
  const acting = caps.flatMap((one) => (one === main ? named(one.hooks, at) : one.hooks));
  const probes: Hook[] = [];
  if (cap_layer !== null) probes.push(probe(cap_layer, itemAt(main!.hooks, at).vector, AFTER));
  if (axis_layer !== null) probes.push(probe(axis_layer, axis!.direction(axis_layer), AXIS));
  return { hooks: [...acting, ...own, ...probes], cap_layer, axis_layer };
}

function probe(layer: number, vector: Float32Array, name: string): Hook {
  return { kind: "project", site: `blocks.${layer}.hook_resid_post`, vector, name };
}

/** The cap of number `at` reports what it finds. */
function named(hooks: readonly Hook[], at: number): Hook[] {
  return hooks.map((hook, i): Hook => (i === at && hook.kind === "cap" ? { ...hook, name: BEFORE } : hook));
}

const NAMES = [
  ["before", BEFORE],
  ["after", AFTER],
  ["axis", AXIS],
] as const;

/** A token's readings; null where nothing is read. */
export function tokenReadings({ projections }: GeneratedToken): Readings<number> | null {
  const read: Readings<number> = {};
  for (const [field, name] of NAMES) if (projections?.[name] !== undefined) read[field] = projections[name];
  return Object.keys(read).length === 0 ? null : read;
}

/** Readings of a reply's tokens as lists, one value a token. */
export function readingLists({ projections }: GenerateResult): Readings<number[]> {
  const lists: Readings<number[]> = {};
  for (const [field, name] of NAMES)
    if (projections[name] !== undefined) lists[field] = [...projections[name]];
  return lists;
}

/** Null where nothing is read. */
export function telemetryOf({ cap_layer, axis_layer }: ReadHooks, result: GenerateResult): Telemetry | null {
  if (cap_layer === null && axis_layer === null) return null;
  const projection: Telemetry["projection"] = {};
  for (const [field, list] of Object.entries(readingLists(result)))
    projection[field as keyof Readings<number>] = mean(list as number[]);
  const effect = result.caps[BEFORE];
  return {
    projection,
    ...(axis_layer === null ? {} : { axis_layer }),
    ...(cap_layer === null ? {} : { cap_layer }),
    ...(effect === undefined
      ? {}
      : { touched: effect.touched, tokens: effect.tokens, mean_shift: effect.mean_shift }),
  };
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}
