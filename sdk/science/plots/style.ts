import type { Config, TopLevelSpec } from "vega-lite";

/** What the plots are made as, typed whole. */
export type VegaSpec = TopLevelSpec;
/** A plot within a plot. */
export type SubSpec = Extract<VegaSpec, { hconcat: unknown }>["hconcat"][number];

/** How every plot looks: fonts that most systems have, quiet axes, colours that the colour-blind can tell apart. */
export const CONFIG: Config = {
  background: "white",
  font: "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif",
  title: {
    fontSize: 15,
    subtitleFontSize: 11.5,
    subtitleColor: "#555",
    anchor: "start",
    offset: 14,
    subtitlePadding: 5,
  },
  axis: {
    labelFontSize: 10.5,
    titleFontSize: 11.5,
    titleFontWeight: "normal",
    gridColor: "#ececec",
    domainColor: "#999",
    tickColor: "#999",
    titlePadding: 8,
  },
  legend: { labelFontSize: 11, titleFontSize: 11.5, titleFontWeight: "normal", symbolSize: 90 },
  header: { labelFontSize: 12, labelFontWeight: "bold", labelPadding: 6 },
  view: { stroke: null },
};

/** Okabe and Ito's colours, without the black that marks the Assistant. */
export const PALETTE = [
  "#0072b2",
  "#e69f00",
  "#009e73",
  "#d55e00",
  "#cc79a7",
  "#56b4e9",
  "#8c6d31",
  "#6b6b6b",
];

export const UNCAPPED = "#d55e00";
export const CAPPED = "#0072b2";
export const CONTROL = "#9a9a9a";
