/** Pictures of the experiment, as vega-lite specs and as SVG or PNG files. */
export { drawDrift, drawPersonaSpace } from "./draw.ts";
export { driftPlot } from "./drift.ts";
export { personaSpace } from "./persona_space.ts";
export { canDrawPng, type PlotSpec, savePlot, toSvg } from "./render.ts";
