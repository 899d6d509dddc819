import type { Bounds } from "../state/conditions.ts";
import type { Conversation, Side } from "../state/conversation.ts";
import { chartMarkup } from "./chart.ts";
import { el } from "./dom.ts";
import { toElement } from "./markup.ts";
import { seriesOf } from "./series.ts";
import { hideTip, showTip } from "./tip.ts";

export interface DriftActions {
  /** Goes to a turn. */
  reveal(turn: number): void;
  side(side: Side): void;
}

/** The chart with its legend and the toggle before/after. */
export class DriftPanel {
  readonly element: HTMLElement;
  readonly #chart: HTMLElement;
  readonly #legend: HTMLElement;
  readonly #note: HTMLElement;
  readonly #sides: HTMLElement;

  constructor(side: Side, actions: DriftActions) {
    this.#chart = el("div", { className: "chart-box" });
    this.#legend = el("ul", { className: "legend" });
    this.#note = el("p", { className: "note" });
    const choice = (value: Side, text: string) =>
      el(
        "label",
        {},
        el("input", {
          type: "radio",
          name: "side",
          value,
          checked: value === side,
          on: { change: () => actions.side(value) },
        }),
        text,
      );
    this.#sides = el(
      "fieldset",
      { className: "segments" },
      el("legend", { className: "visually-hidden" }, "Projections before or after the cap"),
      choice("before", "before cap"),
      choice("after", "after cap"),
    );
    this.element = el(
      "section",
      { className: "panel", attrs: { "aria-labelledby": "drift-title" } },
      el("div", { className: "panel-head" }, el("h2", { id: "drift-title" }, "Drift"), this.#sides),
      this.#chart,
      this.#legend,
      this.#note,
    );
    const open = (target: EventTarget | null) => {
      const point = target instanceof Element ? target.closest("[data-turn]") : null;
      if (point !== null) actions.reveal(Number(point.getAttribute("data-turn")));
      return point !== null;
    };
    this.#chart.addEventListener("click", (event) => void open(event.target));
    this.#chart.addEventListener("keydown", (event) => {
      if ((event.key === "Enter" || event.key === " ") && open(event.target)) event.preventDefault();
    });
    const hint = (target: EventTarget | null) => {
      const point = target instanceof Element ? target.closest("[data-turn]") : null;
      if (point === null) hideTip();
      else showTip(point, point.getAttribute("aria-label") ?? "");
    };
    this.#chart.addEventListener("pointerover", (event) => hint(event.target));
    this.#chart.addEventListener("pointerout", hideTip);
    this.#chart.addEventListener("focusin", (event) => hint(event.target));
    this.#chart.addEventListener("focusout", hideTip);
  }

  update(conversation: Conversation, bounds: Bounds, side: Side): void {
    const series = seriesOf(conversation, side);
    const { layer } = conversation.settings;
    const has_readings = layer !== null || series.some(({ points }) => points.length > 0);
    for (const part of [this.#chart, this.#legend, this.#sides]) part.hidden = !has_readings;
    this.#note.textContent =
      layer === null
        ? "This model has no axis: nothing is projected."
        : `Mean projection of each reply on the Assistant axis at layer ${layer}; up is Assistant.`;
    if (!has_readings) return;
    const focused = this.#chart.contains(document.activeElement) ? document.activeElement : null;
    const at = focused && [focused.getAttribute("data-turn"), focused.getAttribute("data-column")];
    const width = Math.max(300, Math.round(this.#chart.clientWidth || 350));
    const height = width > 500 ? 210 : innerWidth > 640 ? 240 : 190;
    this.#chart.replaceChildren(toElement(chartMarkup({ series, bounds, width, height })));
    if (at)
      this.#chart
        .querySelector<SVGElement>(`[data-turn="${at[0]}"][data-column="${at[1]}"]`)
        ?.focus({ preventScroll: true });
    const dot = (name: string) => el("span", { className: `dot ${name}`, attrs: { "aria-hidden": "true" } });
    const items = [
      ...series.map(({ name, column }) => el("li", {}, dot(`column-${column}`), name)),
      ...(bounds.floor === null ? [] : [el("li", {}, dot("floor"), "the cap's floor")]),
      ...(bounds.assistant === null ? [] : [el("li", {}, dot("assistant"), "the mean Assistant")]),
      ...(bounds.percentiles === null ? [] : [el("li", {}, dot("band"), "p25 to p75, p5 to p95")]),
    ];
    this.#legend.replaceChildren(...items);
  }
}
