import type { Axis } from "../science/axis.ts";
import type { Drift } from "../science/drift.ts";
import { driftPlot } from "./drift.ts";
import { personaSpace } from "./persona_space.ts";
import { canDrawPng, type PlotSpec, savePlot } from "./render.ts";

/**
 * Draws persona space into `{path}.svg`, and `{path}.png` where PNGs can be drawn.
 *
 * @returns the paths written
 * @throws CapstanError `unsupported` when vega and vega-lite are not installed
 */
export async function drawPersonaSpace(axis: Axis, path: string): Promise<string[]> {
  return await draw(personaSpace(axis), path);
}

/** Draws drift over conversations, as `drawPersonaSpace` does. */
export async function drawDrift(
  drifts: readonly Drift[],
  path: string,
  options: { model?: string } = {},
): Promise<string[]> {
  return await draw(driftPlot(drifts, options), path);
}

async function draw(spec: PlotSpec, path: string): Promise<string[]> {
  const paths = [`${path}.svg`, ...((await canDrawPng()) ? [`${path}.png`] : [])];
  for (const name of paths) await savePlot(spec, name);
  return paths;
}
