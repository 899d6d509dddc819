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

/** What the paper caps (section 5): Qwen 3 32B and Llama 3.3 70B. */
const PUBLISHED = [
  { n_layers: 64, start: 46, end: 54 },
  { n_layers: 80, start: 56, end: 72 },
] as const;

/** The layers [start, end) at the depths that the paper caps, of the model there that is nearer in layers. */
export function publishedRange(n_layers: number): LayerRange {
  const [small, large] = PUBLISHED;
  const near = large.n_layers - n_layers < n_layers - small.n_layers ? large : small;
  const at = (layer: number) => Math.round((layer / near.n_layers) * n_layers);
  const start = Math.min(at(near.start), n_layers - 1);
  return { start, end: Math.max(at(near.end), start + 1) };
}

/** The layer that projections are read at: 22 of Gemma 2 27B's 46 as published, else the middle (32 of 64, 40 of 80). */
export function readLayer(n_layers: number): number {
  return n_layers === 46 ? 22 : Math.floor(n_layers / 2);
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
    ? `a layer that was collected (${some?.join(", ")})`
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
  const fix = "Percentiles are written 0 to 100: 25, not 0.25.";
  throw new CapstanError("bad_request", { action, need: "a percentile of 0 to 100", found: show(p), fix });
}
