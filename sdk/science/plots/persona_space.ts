import { itemAt } from "../../../models/certain.ts";
import type { Axis } from "../axis/axis.ts";
import { CONFIG, PALETTE, type SubSpec, type VegaSpec } from "./style.ts";

/** Rows above this many go without a name each. */
const MAX_NAMES = 90;
const ASSISTANT = "Assistant";
const PANEL_TITLE = { fontSize: 12, fontWeight: "normal" as const };
/** Pixels of a row, with and without names. */
const NAMED_STEP = 13;
const STEP = 2.5;

/**
 * Persona space at a layer (paper, figures 2 and 3): the roles ordered along the Assistant axis, and beside it
 * their two first principal components. Colours are groups; the default is marked.
 */
export function personaSpace(axis: Axis, options: { layer?: number } = {}): VegaSpec {
  const layer = options.layer ?? axis.target_layer;
  const points = axis.points(layer);
  const places = [...points.map(place), assistantPlace(axis, layer)];
  const groups = [...new Set(points.map(({ group }) => group ?? "role"))].reverse();
  const share = (k: number) => `${Math.round(100 * (axis.explained(layer)[k] ?? 0))} % of the variance`;
  const cosine = itemAt(axis.cos_pc1, layer).toFixed(2);
  const dims = itemAt(axis.dims70, layer);
  const colour = {
    field: "group",
    type: "nominal" as const,
    title: groups.length > 1 ? "Group" : null,
    scale: { domain: [...groups, ASSISTANT], range: [...colours(groups), "#000000"] },
  };
  const shape = {
    field: "kind",
    type: "nominal" as const,
    scale: { domain: ["role", ASSISTANT], range: ["circle", "diamond"] },
    legend: null,
  };
  const size = {
    field: "kind",
    type: "nominal" as const,
    scale: { domain: ["role", ASSISTANT], range: [places.length > MAX_NAMES ? 25 : 55, 170] },
    legend: null,
  };
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    config: CONFIG,
    padding: 16,
    title: {
      text: `Persona space of ${axis.model.id}, layer ${layer} of ${axis.n_layers}`,
      subtitle: `${points.length} roles. cos(PC1, Assistant axis) ${cosine}; ${dims} dimension${dims === 1 ? "" : "s"} for 70 % of the variance.`,
    },
    data: { values: places },
    spacing: 85,
    bounds: "flush",
    hconcat: [
      ordered(places.length, axis.percentile(layer, 25), { colour, shape, size }),
      {
        spacing: 105,
        bounds: "flush",
        vconcat: [components(share, { colour, shape, size }), variance(axis.explained(layer))],
      },
    ],
  };
}

interface Encodings {
  colour: object;
  shape: object;
  size: object;
}

/** Left: one row a role, along the axis. */
function ordered(n: number, threshold: number, { colour, shape, size }: Encodings): SubSpec {
  const named = n <= MAX_NAMES;
  const title = "Mean projection on the unit axis (residual-stream units)";
  return {
    width: 380,
    height: { step: named ? NAMED_STEP : STEP },
    title: {
      text: "Along the Assistant axis: role-playing left, Assistant right",
      fontSize: 12,
      fontWeight: "normal",
    },
    layer: [
      {
        mark: { type: "rule", strokeDash: [4, 3], color: "#888" },
        data: { values: [{ threshold }] },
        encoding: { x: { field: "threshold", type: "quantitative" } },
      },
      {
        mark: { type: "text", align: "left", baseline: "bottom", dx: 4, fontSize: 9.5, color: "#666" },
        data: { values: [{ threshold, label: "25th percentile of responses" }] },
        encoding: {
          x: { field: "threshold", type: "quantitative" },
          // The farthest roles are at the bottom, left of it: there is space.
          y: { value: n * (named ? NAMED_STEP : STEP) - 3 },
          text: { field: "label" },
        },
      },
      {
        mark: { type: "point", filled: true, opacity: 0.95 },
        encoding: {
          x: { field: "projection", type: "quantitative", title, scale: { zero: false, nice: true } },
          y: {
            field: "role",
            type: "nominal",
            sort: { field: "projection", order: "descending" },
            title: null,
            axis: {
              labels: named,
              ticks: false,
              domain: false,
              grid: named,
              labelLimit: 130,
              labelFontSize: 9.5,
            },
          },
          color: colour,
          shape,
          size,
        },
      },
    ],
  };
}

/** Right: the first two principal components. */
function components(share: (k: number) => string, { colour, shape, size }: Encodings): SubSpec {
  return {
    width: 340,
    height: 300,
    title: { text: "Principal components 1 and 2", ...PANEL_TITLE },
    layer: [
      {
        mark: { type: "point", filled: true, opacity: 0.9 },
        encoding: {
          x: { field: "pc1", type: "quantitative", title: `PC1 (${share(0)})` },
          y: { field: "pc2", type: "quantitative", title: `PC2 (${share(1)})` },
          color: colour,
          shape,
          size,
        },
      },
      {
        transform: [{ filter: `datum.kind === '${ASSISTANT}'` }],
        mark: { type: "text", dy: -13, fontSize: 11, fontWeight: "bold" },
        encoding: {
          x: { field: "pc1", type: "quantitative" },
          y: { field: "pc2", type: "quantitative" },
          text: { field: "role" },
        },
      },
    ],
  };
}

/** Right, below: what each component explains, and the leading ones together. */
function variance(explained: Float32Array): SubSpec {
  let sum = 0;
  const values = Array.from(explained.subarray(0, 12), (value, k) => {
    sum += value;
    return { component: k + 1, share: 100 * value, together: 100 * sum };
  });
  const x = {
    field: "component",
    type: "ordinal" as const,
    title: "Principal component",
    axis: { labelAngle: 0 },
  };
  const y = { title: "Variance (%)", scale: { domain: [0, 100] } };
  return {
    width: 340,
    height: 150,
    title: { text: "Variance explained, each and together", ...PANEL_TITLE },
    data: { values },
    layer: [
      {
        mark: { type: "bar", color: "#9db4c0" },
        encoding: { x, y: { field: "share", type: "quantitative", ...y } },
      },
      {
        mark: { type: "line", color: "#444", point: { color: "#444", size: 25 } },
        encoding: { x, y: { field: "together", type: "quantitative", ...y } },
      },
      {
        mark: { type: "rule", strokeDash: [4, 3], color: "#888" },
        data: { values: [{ level: 70 }] },
        encoding: { y: { field: "level", type: "quantitative" } },
      },
    ],
  };
}

function place(point: ReturnType<Axis["points"]>[number]): object {
  const [pc1 = 0, pc2 = 0] = point.coordinates;
  const { role, group = "role", projection } = point;
  return { role: role.replaceAll("_", " "), group, kind: "role", projection, pc1, pc2 };
}

function assistantPlace(axis: Axis, layer: number): object {
  const [pc1 = 0, pc2 = 0] = axis.defaultCoordinates(layer);
  const projection = axis.defaultProjection(layer);
  return { role: ASSISTANT, group: ASSISTANT, kind: ASSISTANT, projection, pc1, pc2 };
}

function colours(groups: readonly string[]): string[] {
  return groups.map((_, i) => itemAt(PALETTE, i % PALETTE.length));
}
