import { type Hook, isObject } from "../../../models/index.ts";
import type { Axis } from "../axis/axis.ts";
import { checkLayer } from "../layers.ts";

/** Where a projection is read. */
export interface Reading {
  layer: number;
  /** What a reader must know of the choice, in a sentence; absent where the axis's own layer shows what the hooks do. */
  note?: string;
}

/**
 * The layer where a projection under hooks is read, after the layer: the axis's target layer where some hook acts there or
 * before. Caps often begin behind it (the paper reads the middle and caps at two thirds of the depth): there they change
 * nothing, so it is the last layer with both an axis and a hook, where all of them have acted; else the first one behind.
 *
 * @param hooks what it is read under; readings among them count for nothing
 * @param given the layer that the caller names, which is kept
 * @throws CapstanError `bad_request` for a layer of which there is no axis
 * @example
 * const { layer } = readingLayer(axis, caps.hooks);
 */
export function readingLayer(
  axis: Axis,
  hooks: readonly Hook[],
  given: number | undefined,
  action: string,
): Reading {
  const wanted = checkLayer(given ?? axis.target_layer, axis.n_layers, action, axis.layers);
  // What is no hook is refused by the model that is to run it.
  const acting = new Set(
    hooks.filter((hook) => isObject(hook) && hook.kind !== "project").map(({ site }) => layerOf(site)),
  );
  const first = Math.min(...acting);
  if (acting.size === 0 || first <= wanted) return { layer: wanted };
  if (given !== undefined) {
    const note = `read at layer ${given}, before the first layer that the caps or hooks act on, ${first}: they change nothing there`;
    return { layer: given, note };
  }
  const layer =
    axis.layers.findLast((one) => acting.has(one)) ?? axis.layers.find((one) => one > first) ?? wanted;
  const before = `the caps or hooks act from layer ${first} on, behind the axis's layer ${wanted}, where they change nothing`;
  if (layer === wanted) return { layer, note: before };
  return {
    layer,
    note: `${before}: read at layer ${layer}; to compare, read without them at that layer too (--layer ${layer})`,
  };
}

/** 3 of `blocks.3.hook_resid_mid`. */
function layerOf(site: string): number {
  return Number(/^blocks\.(\d+)\./.exec(site)?.[1] ?? 0);
}
