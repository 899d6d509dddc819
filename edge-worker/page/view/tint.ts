import type { Bounds } from "../state/conditions.ts";

/** How a token is tinted by its projection: below the bound one colour, above it another, the farther the stronger. */
export interface Tint {
  side: "low" | "high";
  /** From 0 to 1. */
  strength: number;
}

/** @param value undefined where nothing was read @returns null for a token that is left plain */
export function tintOf(value: number | undefined, bounds: Bounds): Tint | null {
  if (value === undefined || !Number.isFinite(value)) return null;
  const { floor, percentiles } = bounds;
  const bound = floor ?? percentiles?.[1] ?? null;
  if (bound === null) return null;
  // Half of where nine in ten collected responses lie is full strength.
  const spread = percentiles === null ? Math.max(1, Math.abs(bound)) : (percentiles[4] - percentiles[0]) / 2;
  const distance = (value - bound) / (spread || 1);
  return { side: distance < 0 ? "low" : "high", strength: Math.min(1, Math.abs(distance)) };
}
