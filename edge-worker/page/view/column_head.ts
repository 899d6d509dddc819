import { itemAt, lastOf } from "../../../models/certain.ts";
import type { AxisCard } from "../../policy/axis_card.ts";
import type { Condition, ModelCard, OwnCap } from "../backend/backend.ts";
import { conditionName } from "../state/conditions.ts";
import { el } from "./dom.ts";
import { slider } from "./fields.ts";

/** What stands over a column: under which condition it is answered, and sliders for conditions of the visitor's own. */
export function columnHead(
  model: ModelCard,
  column: number,
  condition: Condition,
  change: (condition: Condition, is_final: boolean) => void,
): HTMLElement {
  let now = condition;
  const set = (part: Partial<Condition>, is_final = false) => {
    now = { ...now, ...part };
    change(now, is_final);
  };
  const choices = choicesOf(model, condition);
  const select = el(
    "select",
    {
      attrs: { "aria-label": `${column === 0 ? "First" : "Second"} column` },
      disabled: choices.length < 2,
      on: { change: () => set({ cap: itemAt(choices, select.selectedIndex).cap }, true) },
    },
    ...choices.map(({ text, is_now }) => el("option", { selected: is_now }, text)),
  );
  const marker = el("span", { className: `dot column-${column}`, attrs: { "aria-hidden": "true" } });
  return el(
    "div",
    { className: `head column-${column}` },
    marker,
    select,
    model.own !== null ? ownControls(model, now, set) : null,
  );
}

interface Choice {
  cap: Condition["cap"];
  text: string;
  is_now: boolean;
}

function choicesOf(model: ModelCard, { cap }: Condition): Choice[] {
  const named = model.caps.map(({ name }) => name);
  const caps: Condition["cap"][] = model.pinned ? [model.default_cap] : [null, ...named];
  const choices = caps.map((one) => ({
    cap: one,
    text: conditionName({ cap: one, steering: 0 }),
    is_now: one === cap,
  }));
  const { axis } = model;
  if (model.own === null || axis === null) return choices;
  const is_own = cap !== null && typeof cap !== "string";
  return [...choices, { cap: is_own ? cap : ownCapOf(model, axis), text: "Own cap", is_now: is_own }];
}

/** Where a cap of the visitor's own begins: at what the model's cap is. */
function ownCapOf({ caps }: ModelCard, axis: AxisCard): OwnCap {
  const [first] = caps;
  const [start, end] = [itemAt(axis.layers, 0), lastOf(axis.layers) + 1];
  return first === undefined
    ? { start: Math.floor((start + end) / 2), end, percentile: 25 }
    : { ...first.layers, percentile: first.percentile ?? 25 };
}

function ownControls(
  { axis }: ModelCard,
  { cap, steering }: Condition,
  set: (part: Partial<Condition>, is_final?: boolean) => void,
): HTMLElement | null {
  if (axis === null) return null;
  const own = cap !== null && typeof cap !== "string" ? cap : null;
  return el(
    "details",
    { className: "own", open: own !== null || steering !== 0 },
    el("summary", {}, "Adjust"),
    el(
      "div",
      { className: "fields" },
      ...(own === null ? [] : capSliders(axis, own, (changed) => set({ cap: changed }))),
      slider({
        label: `Steering along the axis at layer ${axis.target_layer}`,
        value: steering,
        min: -200,
        max: 200,
        step: 5,
        show: (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value)} %`,
        change: (value) => set({ steering: value }),
      }),
    ),
  );
}

function capSliders(axis: AxisCard, given: OwnCap, change: (cap: OwnCap) => void): HTMLElement[] {
  const [min, max] = [itemAt(axis.layers, 0), lastOf(axis.layers)];
  let own = given;
  const move = (part: Partial<OwnCap>) => {
    own = { ...own, ...part };
    change({ ...own, end: Math.max(own.end, own.start + 1) });
  };
  return [
    slider({
      label: "First capped layer",
      value: own.start,
      min,
      max,
      change: (start) => move({ start }),
    }),
    slider({
      label: "Last capped layer",
      value: own.end - 1,
      min,
      max,
      change: (last) => move({ end: last + 1 }),
    }),
    slider({
      label: "Floor: percentile of collected responses",
      value: own.percentile,
      min: 0,
      max: 100,
      show: (value) => `p${value}`,
      change: (percentile) => move({ percentile }),
    }),
  ];
}
