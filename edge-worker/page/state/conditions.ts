import { itemAt } from "../../../models/certain.ts";
import type { Condition, ModelCard } from "../backend/backend.ts";

/** Conditions by name, and what bounds the chart draws for them. */

/** `uncapped`, `p50 (layers 1 to 4)`, `own cap: ...` */
export function conditionName({ cap, steering }: Condition): string {
  const base =
    cap === null
      ? "Uncapped"
      : typeof cap === "string"
        ? `Capped: ${cap}`
        : `Own cap: p${cap.percentile}, ${layersText(cap)}`;
  if (steering === 0) return base;
  return `${base}, steered ${steering > 0 ? "+" : "−"}${Math.abs(steering)} %`;
}

export function layersText({ start, end }: { start: number; end: number }): string {
  return end - start === 1 ? `layer ${start}` : `layers ${start} to ${end - 1}`;
}

/** The columns that a model is first shown with: uncapped beside its cap, as far as the policy lets them be asked for. */
export function firstConditions(model: ModelCard): Condition[] {
  const named = model.default_cap ?? model.caps[0]?.name ?? null;
  if (model.pinned || named === null) return [{ cap: named, steering: 0 }];
  return [
    { cap: null, steering: 0 },
    { cap: named, steering: 0 },
  ];
}

/** Where to read: the axis's target layer where the cap acts there, too, else the first layer that is capped. */
export function firstLayer(model: ModelCard, conditions: readonly Condition[]): number | null {
  const { axis } = model;
  if (axis === null) return null;
  const ranges = conditions.map((condition) => rangeOf(model, condition)).filter((range) => range !== null);
  const [range] = ranges;
  if (range === undefined || (axis.target_layer >= range.start && axis.target_layer < range.end))
    return axis.target_layer;
  return axis.layers.includes(range.start) ? range.start : axis.target_layer;
}

/** The layers that a condition caps. */
export function rangeOf(model: ModelCard, { cap }: Condition): { start: number; end: number } | null {
  if (cap === null) return null;
  if (typeof cap !== "string") return cap;
  return model.caps.find(({ name }) => name === cap)?.layers ?? null;
}

/** Bounds to compare a reading at a layer with. */
export interface Bounds {
  /** The cap's floor, where one acts on the layer. */
  floor: number | null;
  /** Percentiles of collected responses: 5, 25, 50, 75, 95. */
  percentiles: [number, number, number, number, number] | null;
  /** The mean Assistant response. */
  assistant: number | null;
}

export const NO_BOUNDS: Bounds = { floor: null, percentiles: null, assistant: null };

export function boundsAt(model: ModelCard, layer: number | null, conditions: readonly Condition[]): Bounds {
  const { axis } = model;
  const at = axis?.layers.indexOf(layer ?? -1) ?? -1;
  if (axis === null || at < 0) return NO_BOUNDS;
  const { percentiles: p, assistant } = axis;
  const floors = conditions
    .map((condition) => floorAt(model, itemAt(axis.layers, at), condition))
    .filter((one) => one !== null);
  return {
    floor: floors[0] ?? null,
    percentiles: [
      itemAt(p[5], at),
      itemAt(p[25], at),
      itemAt(p[50], at),
      itemAt(p[75], at),
      itemAt(p[95], at),
    ],
    assistant: itemAt(assistant, at),
  };
}

function floorAt(model: ModelCard, layer: number, { cap }: Condition): number | null {
  if (cap === null) return null;
  if (typeof cap !== "string") return model.own?.floor(cap, layer) ?? null;
  const card = model.caps.find(({ name }) => name === cap);
  return card?.floors[layer - card.layers.start] ?? null;
}
