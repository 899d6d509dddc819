import type { Axis } from "../../sdk/science/index.ts";

/** Percentiles that a reader of projections compares with. */
const SHOWN = [5, 25, 50, 75, 95] as const;

/** Where projections on an axis usually lie, as JSON holds it. Lists go by `layers`. */
export interface AxisCard {
  target_layer: number;
  layers: readonly number[];
  /** Percentiles of the collected responses. */
  percentiles: Record<(typeof SHOWN)[number], number[]>;
  /** Projection of the mean Assistant response. */
  assistant: number[];
}

export function axisCard(axis: Axis): AxisCard {
  const { layers, target_layer } = axis;
  const of = (p: number) => layers.map((layer) => axis.percentile(layer, p));
  return {
    target_layer,
    layers,
    percentiles: { 5: of(5), 25: of(25), 50: of(50), 75: of(75), 95: of(95) },
    assistant: layers.map((layer) => axis.defaultProjection(layer)),
  };
}
