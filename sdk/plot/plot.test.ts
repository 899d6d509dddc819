import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Drift } from "../science/drift.ts";
import { fakeAxis } from "./fake_axis.ts";
import {
  canDrawPng,
  drawDrift,
  drawPersonaSpace,
  driftPlot,
  personaSpace,
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
    const texts = textsOf(await toSvg(personaSpace(fakeAxis(24))));
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
    const texts = textsOf(await toSvg(personaSpace(fakeAxis(120))));
    expect(texts).not.toContain("helper role 0");
    expect(texts).toContain("120 roles");
  });

  it("drift shows both runs, the threshold, and leaves an empty reply out", async () => {
    const texts = textsOf(await toSvg(driftPlot([drift, { ...drift, name: "work" }])));
    for (const text of ["theatrical", "work", "uncapped", "capped", "Dashed: percentile 25"])
      expect(texts).toContain(text);
    expect(texts).not.toMatch(/NaN|undefined/);
    const points = driftPlot([drift]).data as { values: object[] };
    expect(points.values).toHaveLength(7);
  });

  it("files are written as their names say", async () => {
    const paths = [
      ...(await drawPersonaSpace(fakeAxis(12), join(folder, "space"))),
      ...(await drawDrift([drift], join(folder, "drift"))),
    ];
    expect(paths.length).toBe((await canDrawPng()) ? 4 : 2);
    for (const path of paths) {
      const start = (await readFile(path)).subarray(0, 4).toString("latin1");
      expect(start).toBe(path.endsWith(".png") ? "\x89PNG" : "<svg");
    }
    await expect(savePlot(driftPlot([drift]), "x.pdf")).rejects.toThrow(
      /ends in .svg or .png, found "x.pdf"/,
    );
  });
});
