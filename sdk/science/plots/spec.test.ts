import { describe, expect, it } from "vitest";
import { fakeAxis } from "../../../testing/fakes/fake_axis.ts";
import type { Drift } from "../project/drift.ts";
import { type PlotKind, plot } from "./index.ts";
import { CAPPED, CONTROL, UNCAPPED } from "./style.ts";

/** What the plots draw, by the data and the encodings of their specifications: no picture is made. */

type Value = Record<string, unknown>;
/** The parts of a specification that say which number goes where. */
interface Spec {
  mark?: unknown;
  data?: { values: Value[] };
  encoding?: Record<string, { field?: string; scale?: { domain?: unknown; range?: unknown } }>;
  layer?: Spec[];
  hconcat?: Spec[];
  vconcat?: Spec[];
  spec?: Spec;
  facet?: unknown;
}

const specOf = (kind: PlotKind, input: unknown) => plot(kind, input as never) as unknown as Spec;
const markOf = ({ mark }: Spec) => (mark as { type?: string } | undefined)?.type;

/** The plots within a plot that have this mark, in order. */
function marked(spec: Spec, type: string): Spec[] {
  const inner = [...(spec.layer ?? []), ...(spec.hconcat ?? []), ...(spec.vconcat ?? [])];
  const children = spec.spec === undefined ? inner : [...inner, spec.spec];
  return [...(markOf(spec) === type ? [spec] : []), ...children.flatMap((child) => marked(child, type))];
}

/** The colour that a plot gives each value of its colour field. */
function coloursOf(spec: Spec): Record<string, unknown> {
  const { domain, range } = spec.encoding!.color!.scale!;
  return Object.fromEntries((domain as string[]).map((name, i) => [name, (range as string[])[i]]));
}

const turns = (values: (number | null)[]) =>
  values.map((projection) => ({ user: "x", text: "y", projection }));
const conversation = (name: string, threshold: number, uncapped: number[], capped: number[]): Drift => ({
  name,
  layer: 3,
  threshold,
  threshold_of: "the cap's tau",
  uncapped: turns(uncapped),
  capped: turns(capped),
  asks: false,
  warnings: [],
});

describe("the plot of drifts", () => {
  const drifts = [conversation("one", 4, [9, -2, 1.5], [9, 4, 5.5]), conversation("two", 7, [8, 3], [8, 7])];
  const spec = specOf("drift", drifts);
  const values = spec.data!.values;
  const curve = (conversation: string, run: string) =>
    values.filter((one) => one.conversation === conversation && one.run === run);

  it.each(drifts)("has the projections of each side under its own name, by turns from 1: $name", (drift) => {
    for (const run of ["uncapped", "capped"] as const) {
      const drawn = curve(drift.name, run);
      expect(drawn.map(({ projection }) => projection)).toEqual(
        drift[run]!.map(({ projection }) => projection),
      );
      expect(drawn.map(({ turn }) => turn)).toEqual(drift[run]!.map((_, i) => i + 1));
    }
  });

  it("draws them against turns, in the colours of the two sides", () => {
    const [line] = marked(spec, "line");
    expect([line!.encoding!.x!.field, line!.encoding!.y!.field]).toEqual(["turn", "projection"]);
    expect(line!.encoding!.color!.field).toBe("run");
    expect(coloursOf(line!)).toEqual({ uncapped: UNCAPPED, capped: CAPPED });
    const [point] = marked(spec, "point");
    expect([point!.encoding!.x!.field, point!.encoding!.y!.field]).toEqual(["turn", "projection"]);
  });

  it("draws each conversation's own threshold", () => {
    expect(marked(spec, "rule")[0]!.encoding!.y!.field).toBe("threshold");
    for (const { name, threshold } of drifts) {
      const own = values.filter((one) => one.conversation === name);
      expect(new Set(own.map((one) => one.threshold))).toEqual(new Set([threshold]));
    }
  });

  it("marks the last turn of a script that asks, on both sides, and no other", () => {
    const asked = specOf("drift", [{ ...drifts[0]!, asks: true }]).data!.values;
    expect(asked.filter(({ kind }) => kind === "ask").map(({ run, turn }) => [run, turn])).toEqual([
      ["uncapped", 3],
      ["capped", 3],
    ]);
  });
});

describe("the plot of persona space", () => {
  const axis = fakeAxis(24);
  const { data, d_model } = axis;
  const spec = specOf("persona-space", axis);
  const [along, components] = marked(spec, "point") as [Spec, Spec];
  const roles = spec.data!.values.filter(({ kind }) => kind === "role");
  /** A dot product in float64, as far as the plot's numbers need it. */
  const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
    Array.from(a).reduce((sum, x, i) => sum + x * b[i]!, 0);
  const norm = Math.sqrt(dot(data.axis, data.axis));
  const vectorOf = (index: number) => data.roles.vectors.subarray(index * d_model, (index + 1) * d_model);
  const centredOn = (vector: Float32Array) => vector.map((x, i) => x - data.pca.mean[i]!);
  const component = (k: number) => data.pca.components.subarray(k * d_model, (k + 1) * d_model);

  it("has every role where its vector projects, signs as they are", () => {
    expect(roles).toHaveLength(24);
    for (const [index, name] of axis.roles.entries()) {
      const drawn = roles.find(({ role }) => role === name.replaceAll("_", " "))!;
      expect(drawn.projection).toBeCloseTo(dot(vectorOf(index), data.axis) / norm, 4);
      expect(drawn.pc1).toBeCloseTo(dot(centredOn(vectorOf(index)), component(0)), 3);
      expect(drawn.pc2).toBeCloseTo(dot(centredOn(vectorOf(index)), component(1)), 3);
      expect(drawn.group).toBe(name.split("_")[0]);
    }
  });

  it("has the Assistant where its mean response is, at the Assistant's end", () => {
    const [assistant] = spec.data!.values.filter(({ kind }) => kind === "Assistant");
    expect(assistant!.projection).toBeCloseTo(dot(data.default, data.axis) / norm, 4);
    expect(assistant!.pc1).toBeCloseTo(dot(centredOn(data.default), component(0)), 3);
    expect(assistant!.pc2).toBeCloseTo(dot(centredOn(data.default), component(1)), 3);
    for (const { projection } of roles) expect(projection).toBeLessThan(assistant!.projection as number);
  });

  it("draws the first component across and the second up, and roles along the axis", () => {
    expect([components.encoding!.x!.field, components.encoding!.y!.field]).toEqual(["pc1", "pc2"]);
    expect([along.encoding!.x!.field, along.encoding!.y!.field]).toEqual(["projection", "role"]);
    const [text] = marked(spec, "text").slice(-1);
    expect([text!.encoding!.x!.field, text!.encoding!.y!.field]).toEqual(["pc1", "pc2"]);
  });

  it("draws the threshold at percentile 25 of the responses' projections", () => {
    const sorted = [...data.responses.projections.data].sort((a, b) => a - b);
    const at = 0.25 * (sorted.length - 1);
    const below = Math.floor(at);
    const quartile = sorted[below]! + (at - below) * (sorted[below + 1]! - sorted[below]!);
    const [rule] = marked(spec, "rule");
    expect(rule!.data!.values[0]!.threshold).toBeCloseTo(quartile, 4);
    expect(sorted.filter((x) => x < quartile).length).toBe(6);
  });

  it("draws what each component explains, and the leading ones together", () => {
    const explained = axis.explained(0);
    const [bars] = marked(spec, "bar");
    const [line] = marked(spec, "line");
    expect([bars!.encoding!.y!.field, line!.encoding!.y!.field]).toEqual(["share", "together"]);
    const panel = spec.hconcat![1]!.vconcat![1]!.data!.values;
    let sum = 0;
    for (const [k, value] of panel.entries()) {
      sum += explained[k]!;
      expect(value).toMatchObject({ component: k + 1 });
      expect(value.share).toBeCloseTo(100 * explained[k]!, 4);
      expect(value.together).toBeCloseTo(100 * sum, 4);
    }
    expect(panel.length).toBe(Math.min(12, explained.length));
  });
});

describe("the plot of an evaluation", () => {
  const rate = (of: number, n = 40) => ({ rate: of, low: of - 0.05, high: of + 0.04, n });
  const suites = {
    jailbreak: { uncapped: rate(0.8), capped: rate(0.1), control: rate(0.75) },
    sums: { uncapped: rate(0.6, 25), capped: rate(0.55, 25) },
  };
  const spec = specOf("evaluation", { suites });

  it("has each condition's rate and interval in per cent, under its own name", () => {
    const round = (x: unknown) => Math.round(1000 * (x as number)) / 1000;
    const drawn = spec.data!.values.map(({ suite, run, share, low, high }) => [
      suite,
      run,
      ...[share, low, high].map(round),
    ]);
    expect(drawn).toEqual([
      ["jailbreak (n 40)", "uncapped", 80, 75, 84],
      ["jailbreak (n 40)", "capped", 10, 5, 14],
      ["jailbreak (n 40)", "control", 75, 70, 79],
      ["sums (n 25)", "uncapped", 60, 55, 64],
      ["sums (n 25)", "capped", 55, 50, 59],
    ]);
  });

  it("draws rates as bars and intervals as rules from low to high, each condition in its colour", () => {
    const [bar] = marked(spec, "bar");
    const [rule] = marked(spec, "rule");
    expect(bar!.encoding!.y!.field).toBe("share");
    expect([rule!.encoding!.y!.field, rule!.encoding!.y2!.field]).toEqual(["low", "high"]);
    expect(coloursOf(bar!)).toEqual({ uncapped: UNCAPPED, capped: CAPPED, control: CONTROL });
  });
});
