/**
 * Pictures of the experiment, as vega-lite specs and as SVG or PNG files.
 *
 * @module capstan/plots
 */
export {
  PLOT_KINDS,
  type PlotInputs,
  type PlotKind,
  type PlotOptions,
  type ProjectedConversation,
  plot,
} from "./plot.ts";
export { canDrawPng, type PlotSpec, savePlot, toSvg } from "./render.ts";
