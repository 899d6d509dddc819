import { itemAt, lastOf, present } from "../../../models/certain.ts";
import type { Bounds } from "../state/conditions.ts";
import { type Markup, markup } from "./markup.ts";

/** The drift chart: mean projection of each turn's reply, a line a column, over the floor and the band of collected responses. */

export interface ChartPoint {
  /** From 0. */
  turn: number;
  value: number;
  /** Read aloud, and shown when it is pointed at. */
  label: string;
}

export interface ChartSeries {
  name: string;
  /** From 0: which colour. */
  column: number;
  /** In the order of turns; turns without a reading have none. */
  points: ChartPoint[];
}

export interface Chart {
  series: ChartSeries[];
  bounds: Bounds;
  /** In pixels. */
  width: number;
  height: number;
  /** What a point leads to; undefined for buttons that the page listens to. */
  linkOf?: (turn: number) => string;
}

const MARGIN = { top: 12, right: 12, bottom: 26, left: 44 };
/** Turns that there is always space for. */
const LEAST_TURNS = 6;

export function chartMarkup({ series, bounds, width, height, linkOf }: Chart): Markup {
  const values = series.flatMap(({ points }) => points.map(({ value }) => value));
  const n_turns = Math.max(
    LEAST_TURNS,
    ...series.flatMap(({ points }) => points.map(({ turn }) => turn + 1)),
  );
  const scale = scaleOf([...values, ...boundValues(bounds)]);
  const [right, bottom] = [width - MARGIN.right, height - MARGIN.bottom];
  const x = (turn: number) => MARGIN.left + ((turn + 0.5) / n_turns) * (right - MARGIN.left);
  const y = (value: number) =>
    bottom - ((value - scale.min) / (scale.max - scale.min)) * (bottom - MARGIN.top);
  return markup(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      class: "chart",
      role: "group",
      "aria-label": summaryOf(series, bounds),
    },
    ...band(bounds, y, MARGIN.left, right),
    ...scale.ticks.map((tick) =>
      markup(
        "g",
        { class: "tick" },
        markup("line", { x1: MARGIN.left, x2: right, y1: y(tick), y2: y(tick) }),
        markup("text", { x: MARGIN.left - 6, y: y(tick) + 4, "text-anchor": "end" }, shortNumber(tick)),
      ),
    ),
    ...turnTicks(n_turns).map((turn) =>
      markup(
        "text",
        { class: "turn-number", x: x(turn), y: height - 8, "text-anchor": "middle" },
        String(turn + 1),
      ),
    ),
    ...assistantLine(bounds, y, MARGIN.left, right),
    ...floorLine(bounds, y, MARGIN.left, right),
    ...series.map((one) => lineOf(one, x, y)),
    ...series.flatMap((one) => one.points.map((point) => pointOf(one, point, x, y, linkOf))),
  );
}

function boundValues({ floor, percentiles, assistant }: Bounds): number[] {
  return [...(percentiles ?? []), ...[floor, assistant].filter((value) => value !== null)];
}

/** A range of round numbers around the values, with its ticks. */
export function scaleOf(values: readonly number[]): { min: number; max: number; ticks: number[] } {
  const finite = values.filter((value) => Number.isFinite(value));
  let [low, high] = finite.length === 0 ? [0, 1] : [Math.min(...finite), Math.max(...finite)];
  if (low === high) [low, high] = [low - 1, high + 1];
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = present(
    [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough),
    "a step",
  );
  const [first, last] = [Math.floor(low / step), Math.ceil(high / step)];
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  return { min: first * step, max: last * step, ticks };
}

function turnTicks(n: number): number[] {
  const every = Math.ceil(n / 12);
  return Array.from({ length: n }, (_, turn) => turn).filter((turn) => turn % every === 0);
}

function band({ percentiles }: Bounds, y: (value: number) => number, left: number, right: number): Markup[] {
  if (percentiles === null) return [];
  const [p5, p25, p50, p75, p95] = percentiles;
  const rect = (low: number, high: number, name: string) =>
    markup("rect", {
      class: name,
      x: left,
      width: right - left,
      y: y(high),
      height: Math.max(0, y(low) - y(high)),
    });
  return [
    rect(p5, p95, "band wide"),
    rect(p25, p75, "band"),
    markup("line", { class: "median", x1: left, x2: right, y1: y(p50), y2: y(p50) }),
  ];
}

function assistantLine(
  { assistant }: Bounds,
  y: (value: number) => number,
  left: number,
  right: number,
): Markup[] {
  if (assistant === null) return [];
  return [markup("line", { class: "assistant", x1: left, x2: right, y1: y(assistant), y2: y(assistant) })];
}

function floorLine({ floor }: Bounds, y: (value: number) => number, left: number, right: number): Markup[] {
  if (floor === null) return [];
  return [
    markup("line", { class: "floor", x1: left, x2: right, y1: y(floor), y2: y(floor) }),
    markup(
      "text",
      { class: "floor-label", x: right - 4, y: y(floor) + 13, "text-anchor": "end" },
      `floor ${shortNumber(floor)}`,
    ),
  ];
}

function lineOf(
  { points, column }: ChartSeries,
  x: (turn: number) => number,
  y: (value: number) => number,
): Markup {
  const path = points.map(
    ({ turn, value }, i) => `${i === 0 ? "M" : "L"}${round(x(turn))},${round(y(value))}`,
  );
  return markup("path", { class: `line column-${column}`, d: path.join(""), fill: "none" });
}

function pointOf(
  { column }: ChartSeries,
  { turn, value, label }: ChartPoint,
  x: (turn: number) => number,
  y: (value: number) => number,
  linkOf: Chart["linkOf"],
): Markup {
  const [cx, cy] = [round(x(turn)), round(y(value))];
  // Different shapes: the columns differ in more than colour.
  const shape =
    column === 0
      ? markup("circle", { class: "mark", cx, cy, r: 5 })
      : markup("path", {
          class: "mark",
          d: `M${cx},${cy - 6}L${cx + 6},${cy}L${cx},${cy + 6}L${cx - 6},${cy}Z`,
        });
  const target = markup("circle", { class: "target", cx, cy, r: 12 });
  const attributes = { class: `point column-${column}`, "aria-label": label };
  if (linkOf !== undefined) {
    const title = markup("title", {}, label);
    return markup("a", { ...attributes, href: linkOf(turn) }, title, target, shape);
  }
  return markup(
    "g",
    { ...attributes, role: "button", tabindex: 0, "data-turn": turn, "data-column": column },
    target,
    shape,
  );
}

/** The chart in a sentence, for who does not see it. */
function summaryOf(series: readonly ChartSeries[], { floor }: Bounds): string {
  const lines = series
    .filter(({ points }) => points.length > 0)
    .map(({ name, points }) => {
      const [first, last] = [itemAt(points, 0), lastOf(points)];
      return `${name} from ${shortNumber(first.value)} at turn ${first.turn + 1} to ${shortNumber(last.value)} at turn ${last.turn + 1}`;
    });
  const bound = floor === null ? "" : ` The floor is ${shortNumber(floor)}.`;
  if (lines.length === 0) return `Drift by turn: no replies yet.${bound}`;
  return `Drift by turn: ${lines.join("; ")}.${bound}`;
}

/** A projection with as many digits as a reader uses, and a true minus sign. */
export function shortNumber(value: number): string {
  const size = Math.abs(value);
  const text = size >= 100 ? size.toFixed(0) : size >= 1 ? size.toFixed(1) : size.toPrecision(2);
  const plain = size === 0 ? "0" : text.replace(/\.0+$/, "");
  return value < 0 && Number(plain) !== 0 ? `−${plain}` : plain;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
