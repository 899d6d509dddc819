import type { Evaluation } from "../index.ts";
import { CAPPED, CONFIG, CONTROL, UNCAPPED, type VegaSpec } from "./style.ts";

/** Name, field of a suite's result, colour. */
const RUNS = [
  ["uncapped", UNCAPPED],
  ["capped", CAPPED],
  ["control", CONTROL],
] as const;

/** Rates of each suite as bars with their 95 % intervals (paper, figure 9): uncapped, capped, and under controls. */
export function evaluationPlot(
  { suites }: Pick<Evaluation, "suites">,
  options: { model?: string } = {},
): VegaSpec {
  const values = Object.entries(suites).flatMap(([suite, result]) =>
    RUNS.flatMap(([run]) => {
      const rate = result[run];
      if (rate === undefined) return [];
      const [share, low, high] = [rate.rate, rate.low, rate.high].map((x) => 100 * x);
      return [{ suite: `${suite} (n ${result.uncapped.n})`, run, share, low, high }];
    }),
  );
  const shown = RUNS.filter(([name]) => values.some(({ run }) => run === name));
  const names = shown.map(([name]) => name);
  const xOffset = { field: "run", sort: names };
  const x = {
    field: "suite",
    type: "nominal" as const,
    title: null,
    sort: null,
    axis: { labelAngle: 0, labelLimit: 160 },
  };
  const y = { type: "quantitative" as const, title: "Rate (%)", scale: { domain: [0, 100] } };
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    config: CONFIG,
    padding: 16,
    title: {
      text: `What the cap does${options.model === undefined ? "" : `: ${options.model}`}`,
      subtitle: ["Share of prompts whose reply counts, with 95 % intervals (Wilson)."],
    },
    data: { values },
    width: { step: 34 },
    height: 260,
    layer: [
      {
        mark: { type: "bar" },
        encoding: {
          x,
          xOffset,
          y: { field: "share", ...y },
          color: {
            field: "run",
            type: "nominal",
            title: null,
            scale: { domain: names, range: shown.map(([, colour]) => colour) },
          },
        },
      },
      {
        mark: { type: "rule", color: "#333" },
        encoding: { x, xOffset, y: { field: "low", ...y }, y2: { field: "high" } },
      },
    ],
  };
}
