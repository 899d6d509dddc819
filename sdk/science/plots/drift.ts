import type { Drift, DriftTurn } from "../project/drift.ts";
import { CAPPED, CONFIG, UNCAPPED, type VegaSpec } from "./style.ts";

/**
 * Conversations along the Assistant axis (paper, figure 7): the mean projection of each reply, uncapped and
 * capped, with the threshold below which a model is hardly its Assistant. One panel a conversation.
 */
export function driftPlot(drifts: readonly Drift[], options: { model?: string } = {}): VegaSpec {
  const values = drifts.flatMap((drift) => [
    ...pointsOf(drift, "uncapped", drift.uncapped),
    ...pointsOf(drift, "capped", drift.capped ?? []),
  ]);
  const layer = drifts[0]?.layer ?? 0;
  const both = drifts.some(({ capped }) => capped !== undefined);
  const names = both ? ["uncapped", "capped"] : ["uncapped"];
  const asks = drifts.some((drift) => drift.asks);
  const turn = { field: "turn", type: "quantitative" as const };
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    config: CONFIG,
    padding: 16,
    title: {
      text: `Drift over a conversation${options.model === undefined ? "" : `: ${options.model}`}, layer ${layer}`,
      subtitle: [
        "Mean projection of each reply on the Assistant axis; up is Assistant.",
        `Dashed: ${drifts[0]?.threshold_of ?? "threshold"}.`,
        ...(asks ? ["The last turn (diamond) asks for what the Assistant declines."] : []),
      ],
    },
    data: { values },
    facet: {
      column: { field: "conversation", type: "nominal", title: null, sort: drifts.map(({ name }) => name) },
    },
    spacing: 18,
    spec: {
      width: drifts.length === 1 ? 460 : 250,
      height: 260,
      layer: [
        {
          mark: { type: "rule", strokeDash: [5, 4], color: "#777" },
          encoding: { y: { aggregate: "mean", field: "threshold", type: "quantitative" } },
        },
        {
          mark: { type: "line", strokeWidth: 2.2 },
          encoding: {
            x: {
              ...turn,
              title: "Turn of the conversation",
              axis: { tickMinStep: 1, format: "d", grid: false },
              scale: { nice: false, padding: 12 },
            },
            y: {
              field: "projection",
              type: "quantitative",
              title: "Projection (residual-stream units)",
              scale: { zero: false },
            },
            color: {
              field: "run",
              type: "nominal",
              title: null,
              scale: { domain: names, range: [UNCAPPED, CAPPED].slice(0, names.length) },
            },
          },
        },
        {
          mark: { type: "point", filled: true, opacity: 1 },
          encoding: {
            x: turn,
            y: { field: "projection", type: "quantitative" },
            color: { field: "run", type: "nominal" },
            shape: {
              field: "kind",
              type: "nominal",
              scale: { domain: ["turn", "ask"], range: ["circle", "diamond"] },
              legend: null,
            },
            size: {
              field: "kind",
              type: "nominal",
              scale: { domain: ["turn", "ask"], range: [45, 130] },
              legend: null,
            },
          },
        },
      ],
    },
  };
}

function pointsOf(drift: Drift, run: string, turns: readonly DriftTurn[]): object[] {
  return turns.flatMap(({ projection }, index) => {
    if (projection === null) return [];
    const kind = drift.asks && index === turns.length - 1 ? "ask" : "turn";
    return [{ conversation: drift.name, run, turn: index + 1, projection, kind, threshold: drift.threshold }];
  });
}
