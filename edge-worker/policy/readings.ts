import type { Hook } from "../../models/index.ts";
import type { Caps } from "../../sdk/science/index.ts";
import type { GeneratedToken, GenerateResult } from "../../sdk/types.ts";
import type { ServedModel } from "../service/served_model.ts";

/** What is read along with every reply: its projections before and after the caps, and what they did. */

/** Names of our readings; a client's may not begin like them. */
export const OWN_NAMES = "capstan.";
const BEFORE = "capstan.before";
const AFTER = "capstan.after";
const EFFECT = "capstan.cap";

/** The hooks of a reply, and how its readings are found among the projections. */
export interface ReadHooks {
  readonly hooks: Hook[];
  /** The layer whose residual stream is projected; null where there is nothing to project on. */
  readonly layer: number | null;
  /** `axis`: projections are on the Assistant axis; `cap`: on the cap's own vector. */
  readonly of: "axis" | "cap" | null;
}

/** A reply's telemetry as JSON holds it. */
export interface Telemetry {
  layer: number;
  of: "axis" | "cap";
  /** Mean projection over the reply's tokens; null for an empty reply. */
  projection: { before: number | null; after: number | null };
  /** Positions that the cap moved at the layer it is read at, of how many, and how far on average. */
  touched: number;
  tokens: number;
  mean_shift: number;
}

/**
 * @param caps the caps that act, in order
 * @param own hooks of the client
 */
export function readHooks(served: ServedModel, caps: readonly Caps[], own: readonly Hook[]): ReadHooks {
  const [main] = caps;
  const at = probeOf(served, main);
  const acting = caps.flatMap((one) => (one === main ? named(one, at?.layer) : one.hooks));
  if (at === null) return { hooks: [...acting, ...own], layer: null, of: null };
  const probe = (name: string): Hook => ({
    kind: "project",
    site: `blocks.${at.layer}.hook_resid_post`,
    vector: at.vector,
    name,
  });
  const before = acting.length === 0 && own.length === 0 ? [] : [probe(BEFORE)];
  return { hooks: [...before, ...acting, ...own, probe(AFTER)], layer: at.layer, of: at.of };
}

function probeOf(
  { axis }: ServedModel,
  caps: Caps | undefined,
): { layer: number; vector: Float32Array; of: "axis" | "cap" } | null {
  if (axis !== null) {
    const layer = axis.target_layer;
    return { layer, vector: axis.direction(layer), of: "axis" };
  }
  if (caps === undefined) return null;
  const last = caps.data.layers.length - 1;
  return { layer: caps.data.layers[last]!, vector: caps.hooks[last]!.vector, of: "cap" };
}

/** A cap's hooks, of which the one at the layer that is read (else the last) reports what it did. */
function named({ hooks, data }: Caps, layer: number | undefined): Hook[] {
  const at = layer === undefined ? -1 : data.layers.indexOf(layer);
  const reported = at < 0 ? hooks.length - 1 : at;
  return hooks.map(
    (hook, i): Hook => (i === reported && hook.kind === "cap" ? { ...hook, name: EFFECT } : hook),
  );
}

/** A token's projection before and after the caps. */
export function tokenProjections({ projections }: GeneratedToken): { before: number; after: number } | null {
  const after = projections?.[AFTER];
  return after === undefined ? null : { before: projections?.[BEFORE] ?? after, after };
}

export function telemetryOf(read: ReadHooks, result: GenerateResult): Telemetry | null {
  if (read.layer === null || read.of === null) return null;
  const after = result.projections[AFTER] ?? new Float32Array(0);
  const before = result.projections[BEFORE] ?? after;
  const { touched = 0, mean_shift = 0 } = result.caps[EFFECT] ?? {};
  return {
    layer: read.layer,
    of: read.of,
    projection: { before: mean(before), after: mean(after) },
    touched,
    tokens: after.length,
    mean_shift,
  };
}

function mean(values: Float32Array): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}
