import { CapstanError, isObject, show } from "../../../models/index.ts";
import * as rules from "../../common/options.ts";
import { type Rules, readOptions } from "../../common/options.ts";
import type { Axis } from "../axis/axis.ts";
import type { Evaluation } from "../index.ts";
import { checkAxis } from "../inputs.ts";
import { checkLayer } from "../layers.ts";
import type { Drift, DriftTurn } from "../project/drift.ts";
import type { Projection } from "../project/project.ts";
import { driftPlot } from "./drift.ts";
import { evaluationPlot } from "./evaluation.ts";
import { personaSpace } from "./persona_space.ts";
import type { PlotSpec } from "./render.ts";

/** A conversation that `project` read, and what it reads under caps. */
export interface ProjectedConversation {
  name: string;
  uncapped: Projection;
  capped?: Projection;
}

/** What each kind of plot draws. */
export interface PlotInputs {
  /** The roles along the axis and in their principal components: what `fit` gave. */
  "persona-space": Axis;
  /** Replies along the axis, turn by turn, one panel a conversation: what `drift` or `project` gave. */
  drift: readonly (Drift | ProjectedConversation)[];
  /** Rates of each suite with their 95 % intervals, uncapped, capped and under controls: what `evaluate` gave. */
  evaluation: Pick<Evaluation, "suites">;
}

export type PlotKind = keyof PlotInputs;

export interface PlotOptions {
  /** `persona-space`: default the axis's target layer. */
  layer?: number;
  /** Named in the title. Default: the axis's model; for the other kinds none. */
  model?: string;
}

const OPTIONS: Rules<PlotOptions> = { layer: rules.whole(0), model: rules.text };

/** Every kind with what it shows, in the order that help lists them. */
export const PLOT_KINDS: Readonly<Record<PlotKind, string>> = {
  "persona-space": "roles along the Assistant axis, their principal components, the variance explained",
  drift: "replies of conversations along the axis, turn by turn, uncapped and capped",
  evaluation: "rates of each suite with 95 % intervals: uncapped, capped, controls",
};

/**
 * A picture of the experiment as a vega-lite specification: `savePlot(spec, "x.svg")` draws it, and the same input gives
 * the same bytes.
 *
 * @throws CapstanError `bad_request` for an unknown kind, and for an input that is not of the kind
 * @example
 * await savePlot(plot("persona-space", axis), "persona-space.svg");
 */
export function plot<K extends PlotKind>(kind: K, input: PlotInputs[K], given: PlotOptions = {}): PlotSpec {
  const action = `plot ${kind}`;
  const { layer, model } = readOptions(action, given, OPTIONS);
  const named = model === undefined ? {} : { model };
  switch (kind) {
    case "persona-space": {
      const axis = checkAxis(input, action);
      if (layer !== undefined) checkLayer(layer, axis.n_layers, action);
      return personaSpace(axis, layer === undefined ? {} : { layer });
    }
    case "drift":
      return driftPlot(conversationsOf(input, action), named);
    case "evaluation":
      return evaluationPlot(checkEvaluation(input, action), named);
    default:
      throw wrong("plot", `a kind: ${Object.keys(PLOT_KINDS).join(", ")}`, kind);
  }
}

function conversationsOf(input: unknown, action: string): Drift[] {
  const need = "a list of conversations: what drift gave, or { name, uncapped: what project gave }";
  if (!Array.isArray(input) || input.length === 0) throw wrong(action, need, input);
  const drifts = input.map((item: unknown): Drift => {
    if (isObject(item) && Array.isArray(item.uncapped)) return item as unknown as Drift;
    if (!isObject(item) || !isProjection(item.uncapped)) throw wrong(action, need, item);
    if (item.capped !== undefined && !isProjection(item.capped)) throw wrong(action, need, item.capped);
    return driftOf(item as unknown as ProjectedConversation, action);
  });
  const layers = [...new Set(drifts.map(({ layer }) => layer))];
  if (layers.length === 1) return drifts;
  throw new CapstanError("bad_request", {
    action,
    need: "conversations read at one layer",
    found: `layers ${layers.join(", ")}`,
    fix: "Project all of them with one layer (--layer).",
  });
}

function driftOf({ name, uncapped, capped }: ProjectedConversation, action: string): Drift {
  const turns = (projection: Projection): DriftTurn[] =>
    projection.turns
      .filter(({ role }) => role === "assistant")
      .map(({ projection: p }) => ({ user: "", text: "", projection: p }));
  if (capped !== undefined) checkPair(name, uncapped, capped, action);
  return {
    name,
    layer: uncapped.layer,
    threshold: uncapped.threshold,
    threshold_of: `the threshold of the alerts, ${uncapped.threshold.toFixed(2)}`,
    uncapped: turns(uncapped),
    ...(capped === undefined ? {} : { capped: turns(capped) }),
    asks: false,
    warnings: [],
  };
}

function checkPair(name: string, uncapped: Projection, capped: Projection, action: string): void {
  if (capped.layer !== uncapped.layer) {
    throw new CapstanError("bad_request", {
      action,
      need: `${name} read at one layer, without caps and under them`,
      found: `layers ${uncapped.layer} and ${capped.layer}`,
      fix: `Read it without caps at layer ${capped.layer}, too: project with layer (--layer ${capped.layer}).`,
    });
  }
  const [before, after] = [uncapped.turns.length, capped.turns.length];
  if (before !== after) {
    throw wrong(action, `the same conversation under caps for ${name}, of ${before} turns`, `${after} turns`);
  }
}

/** Whether a value is what `project` gave, also by way of JSON. */
export function isProjection(value: unknown): value is Projection {
  return (
    isObject(value) &&
    Array.isArray(value.turns) &&
    Number.isFinite(value.threshold) &&
    Number.isInteger(value.layer)
  );
}

function checkEvaluation(input: unknown, action: string): PlotInputs["evaluation"] {
  const need = "what evaluate gave: { suites: { <name>: { uncapped: { rate, low, high, n }, ... } } }";
  const suites = isObject(input) ? input.suites : undefined;
  if (!isObject(suites) || Object.keys(suites).length === 0) throw wrong(action, need, input);
  for (const [name, suite] of Object.entries(suites)) {
    if (!isObject(suite)) throw wrong(action, need, { [name]: suite });
    for (const rate of [suite.uncapped, suite.capped, suite.control]) {
      const is_rate = isObject(rate) && [rate.rate, rate.low, rate.high, rate.n].every(Number.isFinite);
      if (rate !== undefined && !is_rate) throw wrong(action, need, { [name]: suite });
    }
  }
  return input as PlotInputs["evaluation"];
}

function wrong(action: string, need: string, found: unknown): CapstanError {
  return new CapstanError("bad_request", { action, need, found: show(found) });
}
