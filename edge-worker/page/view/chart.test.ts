import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Bounds, NO_BOUNDS } from "../state/conditions.ts";
import { type Chart, chartMarkup, scaleOf, shortNumber } from "./chart.ts";
import { type Markup, markup, toHtml } from "./markup.ts";
import { tintOf } from "./tint.ts";

const bounds: Bounds = { floor: 40, percentiles: [-60, -20, 40, 70, 100], assistant: 85 };
const chart = (part: Partial<Chart> = {}): Markup =>
  chartMarkup({
    series: [
      {
        name: "Uncapped",
        column: 0,
        points: [
          { turn: 0, value: 80, label: "a" },
          { turn: 2, value: -30, label: "b" },
        ],
      },
      { name: "Capped", column: 1, points: [{ turn: 0, value: 90, label: "c" }] },
    ],
    bounds,
    width: 400,
    height: 240,
    ...part,
  });

function all(node: Markup, name: string): Markup[] {
  const own = String(node.attributes.class ?? "")
    .split(" ")
    .includes(name)
    ? [node]
    : [];
  return [...own, ...node.children.flatMap((child) => (typeof child === "string" ? [] : all(child, name)))];
}

describe("the chart", () => {
  it("has a point for each reply, above the other where it is nearer the Assistant", () => {
    const points = all(chart(), "point");
    expect(points.map(({ attributes }) => [attributes["data-turn"], attributes["data-column"]])).toEqual([
      [0, 0],
      [2, 0],
      [0, 1],
    ]);
    const [first, second] = all(chart(), "target");
    expect(Number(first!.attributes.cy)).toBeLessThan(Number(second!.attributes.cy));
    expect(Number(first!.attributes.cx)).toBeLessThan(Number(second!.attributes.cx));
  });

  it("draws the floor, and the band from p25 to p75 inside that from p5 to p95", () => {
    const [floor] = all(chart(), "floor");
    const [wide, narrow] = all(chart(), "band");
    const span = (rect: Markup) => [
      Number(rect.attributes.y),
      Number(rect.attributes.y) + Number(rect.attributes.height),
    ];
    const [top, bottom] = span(narrow!);
    expect(span(wide!)[0]).toBeLessThan(top!);
    expect(span(wide!)[1]).toBeGreaterThan(bottom!);
    // Percentile 50 is what the floor is here.
    expect(floor!.attributes.y1).toBe(all(chart(), "median")[0]!.attributes.y1);
    const none = chart({ bounds: NO_BOUNDS });
    expect([...all(none, "floor"), ...all(none, "band")]).toEqual([]);
  });

  it("says in a sentence what it shows", () => {
    expect(chart().attributes["aria-label"]).toBe(
      "Drift by turn: Uncapped from 80 at turn 1 to −30 at turn 3; Capped from 90 at turn 1 to 90 at turn 1. The floor is 40.",
    );
    expect(chart({ series: [] }).attributes["aria-label"]).toBe(
      "Drift by turn: no replies yet. The floor is 40.",
    );
  });

  it("links where it stands in a file", () => {
    expect(toHtml(chart({ linkOf: (turn) => `#turn-${turn + 1}` }))).toContain('href="#turn-3"');
  });

  it("has round ticks around any values", () => {
    expect(scaleOf([-60, 100]).ticks).toEqual([-100, -50, 0, 50, 100]);
    const number = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 });
    fc.assert(
      fc.property(fc.array(number), (values) => {
        const { min, max, ticks } = scaleOf(values);
        expect(min).toBeLessThan(max);
        expect(ticks.length).toBeGreaterThan(1);
        expect(ticks.length).toBeLessThan(9);
        for (const value of values) {
          expect(value).toBeGreaterThanOrEqual(min - Math.abs(min) * 1e-9);
          expect(value).toBeLessThanOrEqual(max + Math.abs(max) * 1e-9);
        }
      }),
      { seed: 3, numRuns: 300 },
    );
  });
});

it("numbers are short, with a true minus", () => {
  expect([-42.53, 3, 0, 123.4, 0.0512, -0.04].map(shortNumber)).toEqual([
    "−42.5",
    "3",
    "0",
    "123",
    "0.051",
    "−0.040",
  ]);
});

it("markup escapes what stands in it", () => {
  const node = markup("p", { title: '"><script>' }, "<b>&'", markup("br", {}));
  expect(toHtml(node)).toBe('<p title="&#34;&#62;&#60;script&#62;">&#60;b&#62;&#38;&#39;<br></p>');
});

it("tokens below the floor are tinted one way, those above the other, none without a reading or a bound", () => {
  expect(tintOf(40, bounds)).toEqual({ side: "high", strength: 0 });
  expect(tintOf(0, bounds)).toEqual({ side: "low", strength: 0.5 });
  expect(tintOf(1000, bounds)).toEqual({ side: "high", strength: 1 });
  expect(tintOf(-21, { ...bounds, floor: null })!.side).toBe("low");
  expect(tintOf(undefined, bounds)).toBe(null);
  expect(tintOf(Number.NaN, bounds)).toBe(null);
  expect(tintOf(1, NO_BOUNDS)).toBe(null);
});
