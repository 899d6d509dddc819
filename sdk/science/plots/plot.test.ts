import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fakeAxis } from "../../../testing/fakes/fake_axis.ts";
import type { Drift } from "../project/drift.ts";
import type { Projection } from "../project/project.ts";
import {
  canDrawPng,
  PLOT_KINDS,
  type PlotInputs,
  type PlotKind,
  type PlotSpec,
  plot,
  savePlot,
  toSvg,
} from "./index.ts";

const installed = await import("vega-lite").then(
  () => true,
  () => false,
);
if (!installed)
  console.warn("skipped: plots, for the optional packages vega and vega-lite are not installed");

const turns = (values: (number | null)[]) =>
  values.map((projection) => ({ user: "x", text: "y", projection }));
const drift: Drift = {
  name: "theatrical",
  layer: 5,
  threshold: 4.2,
  threshold_of: "percentile 25 of collected responses",
  uncapped: turns([16, 6, null, -1]),
  capped: turns([16, 9, 7, 6]),
  asks: true,
  warnings: [],
};

/** The points of a drift's plot. */
const valuesOf = (spec: PlotSpec) => (spec as { data: { values: { turn: number }[] } }).data.values;

const rate = (of: number) => ({ rate: of, low: of - 0.05, high: of + 0.04, n: 40 });
const projection = (values: number[]): Projection => ({
  layer: 5,
  threshold: 4.2,
  turns: values.flatMap((p, i) => [
    { turn: 2 * i, role: "user", tokens: 4, projection: 1, drift: null, alert: false },
    { turn: 2 * i + 1, role: "assistant", tokens: 9, projection: p, drift: p - values[0]!, alert: p < 4.2 },
  ]),
  window: 100,
  windows: [{ context: 0, start: 0, end: 2 * values.length }],
  tokens: { ids: new Int32Array(0), turns: [], projections: new Float32Array(0) },
  warnings: [],
});

/** An input of every kind. */
const INPUTS: { [K in PlotKind]: () => PlotInputs[K] } = {
  "persona-space": () => fakeAxis(24),
  drift: () => [drift, { name: "a chat", uncapped: projection([9, 5, 2]), capped: projection([9, 6, 5]) }],
  evaluation: () => ({
    suites: {
      jailbreak: { uncapped: rate(0.9), capped: rate(0.06), control: rate(0.88) },
      sums: { uncapped: rate(0.7) },
    } as never,
  }),
};
const draw = (kind: PlotKind) => toSvg(plot(kind, INPUTS[kind]() as never));

/** What a reader sees: the texts of a picture, one a line. */
function textsOf(svg: string): string {
  return svg.replace(/<[^>]*>/g, "\n").replace(/\n+/g, "\n");
}

describe.skipIf(!installed)("plots", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "capstan-plot-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("persona space names every role, the Assistant, and the figures of the fit", async () => {
    const texts = textsOf(await toSvg(plot("persona-space", fakeAxis(24))));
    for (const text of [
      "helper role 0",
      "far role 23",
      "Assistant",
      "0.84",
      "24 roles",
      "residual-stream units",
    ]) {
      expect(texts).toContain(text);
    }
    expect(texts).not.toMatch(/NaN|undefined/);
  });

  it("persona space of many roles goes without their names", async () => {
    const texts = textsOf(await toSvg(plot("persona-space", fakeAxis(120))));
    expect(texts).not.toContain("helper role 0");
    expect(texts).toContain("120 roles");
  });

  it("drift shows both runs, the threshold, and leaves an empty reply out", async () => {
    const texts = textsOf(await toSvg(plot("drift", [drift, { ...drift, name: "work" }])));
    for (const text of ["theatrical", "work", "uncapped", "capped", "Dashed: percentile 25"])
      expect(texts).toContain(text);
    expect(texts).not.toMatch(/NaN|undefined/);
    expect(valuesOf(plot("drift", [drift]))).toHaveLength(7);
  });

  it("draws what project read, uncapped and capped", async () => {
    const texts = textsOf(await toSvg(plot("drift", INPUTS.drift().slice(1), { model: "smol" })));
    for (const text of ["a chat", "smol, layer 5", "the threshold of the alerts, 4.20"])
      expect(texts).toContain(text);
    const values = valuesOf(plot("drift", INPUTS.drift().slice(1)));
    expect(values.map(({ turn }) => turn)).toEqual([1, 2, 3, 1, 2, 3]);
  });

  it("draws suites of any name, with what was measured of them", async () => {
    const texts = textsOf(await draw("evaluation"));
    for (const text of ["jailbreak (n 40)", "sums (n 40)", "uncapped", "capped", "control"])
      expect(texts).toContain(text);
    expect(texts).not.toMatch(/NaN|undefined/);
  });

  it.each(Object.keys(PLOT_KINDS) as PlotKind[])(
    "draws the same bytes of the same input: %s",
    async (kind) => {
      const first = await draw(kind);
      for (const other of Object.keys(INPUTS) as PlotKind[]) await draw(other);
      expect(await draw(kind)).toBe(first);
    },
  );

  it("files are written as their names say", async () => {
    for (const ending of (await canDrawPng()) ? ["svg", "png"] : ["svg"]) {
      const path = join(folder, `space.${ending}`);
      await savePlot(plot("persona-space", fakeAxis(12)), path);
      const start = (await readFile(path)).subarray(0, 4).toString("latin1");
      expect(start).toBe(path.endsWith(".png") ? "\x89PNG" : "<svg");
    }
    await expect(savePlot(plot("drift", [drift]), "x.pdf")).rejects.toThrow(
      /ends in .svg or .png, found "x.pdf"/,
    );
  });
});

describe("what no plot can be drawn of", () => {
  it.each([
    ["persona-space", "axis.safetensors", {}, "need an axis: what fit or readAxis gave"],
    ["persona-space", fakeAxis(4), { layer: 1 }, "need a layer of 0 to 0"],
    ["drift", [], {}, "need a list of conversations"],
    ["drift", [{ name: "x", uncapped: { turns: [] } }], {}, "need a list of conversations"],
    [
      "drift",
      [{ name: "x", uncapped: projection([1, 2]), capped: projection([1]) }],
      {},
      "the same conversation",
    ],
    [
      "drift",
      [{ name: "x", uncapped: projection([1, 2]), capped: { ...projection([3, 4]), layer: 6 } }],
      {},
      "found layers 5 and 6. Read it without caps at layer 6, too",
    ],
    ["drift", [drift, { ...drift, layer: 6 }], {}, "need conversations read at one layer"],
    ["evaluation", { suites: {} }, {}, "need what evaluate gave"],
    ["evaluation", { suites: { x: { uncapped: { rate: 1 } } } }, {}, "need what evaluate gave"],
    ["pie", fakeAxis(4), {}, "need a kind: persona-space, drift, evaluation"],
    ["drift", [drift], { colour: "red" }, "colour"],
  ])("is refused: %s", (kind, input, options, message) => {
    expect(() => plot(kind as "drift", input as never, options as never)).toThrow(message);
  });
});
