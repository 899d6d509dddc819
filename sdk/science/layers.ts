import { CapstanError, type Site, show } from "../../models/index.ts";

/** Layers [start, end). */
export interface LayerRange {
  start: number;
  end: number;
}

/** The site the science reads and caps: the residual stream after a layer. */
export function residPost(layer: number): Site {
  return `blocks.${layer}.hook_resid_post`;
}

/** Checks one layer, where some are given one of them. Throws `bad_request`. */
export function checkLayer(
  layer: number,
  n_layers: number,
  action: string,
  some?: readonly number[],
): number {
  const is_layer = Number.isSafeInteger(layer) && layer >= 0 && layer < n_layers;
  if (is_layer && (some?.includes(layer) ?? true)) return layer;
  const all = is_layer
    ? `a layer that was collected (${some!.join(", ")})`
    : `a layer of 0 to ${n_layers - 1}`;
  throw new CapstanError("bad_request", { action, need: all, found: show(layer) });
}

/** Checks a range and lists its layers. Throws `bad_request`. */
export function layersOf(range: LayerRange, n_layers: number, action: string): number[] {
  const { start, end } = range ?? {};
  const whole = Number.isSafeInteger(start) && Number.isSafeInteger(end);
  if (whole && start >= 0 && start < end && end <= n_layers) {
    return Array.from({ length: end - start }, (_, i) => start + i);
  }
  const need = `layers { start, end } with 0 <= start < end <= ${n_layers}`;
  throw new CapstanError("bad_request", { action, need, found: show(range) });
}

/** Checks a percentile, 0 to 100. Throws `bad_request`. */
export function checkPercentile(p: number, action: string): number {
  if (typeof p === "number" && p >= 0 && p <= 100) return p;
  const mend = "Percentiles are written 0 to 100: 25, not 0.25.";
  throw new CapstanError("bad_request", { action, need: "a percentile of 0 to 100", found: show(p), mend });
}
