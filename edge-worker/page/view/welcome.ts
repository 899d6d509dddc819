import type { Script } from "../state/presets.ts";
import { el } from "./dom.ts";

/** What stands where no turn is yet: what this is, and conversations to play. */
export function welcome(
  scripts: readonly Script[],
  { n_columns, has_axis }: { n_columns: number; has_axis: boolean },
  play: (script: Script) => void,
): HTMLElement[] {
  const about = has_axis
    ? "Every token is read on the model's Assistant axis. A cap keeps the reading from falling below its floor; without one, a persona or a long conversation pulls it down."
    : "This model has no axis, so that nothing is projected. `capstan fit` makes one.";
  return [
    el(
      "div",
      {},
      el(
        "h2",
        {},
        n_columns === 2 ? "One message, two replies: uncapped and capped" : "Capped chat, with its drift",
      ),
      el("p", {}, about),
    ),
    el(
      "div",
      {},
      el("h3", {}, "Play a conversation"),
      el(
        "div",
        { className: "cards" },
        ...scripts.map((script) =>
          el(
            "button",
            { type: "button", on: { click: () => play(script) } },
            el("strong", {}, script.name),
            el("span", {}, `${script.about} ${script.turns.length} turns.`),
          ),
        ),
      ),
    ),
  ];
}
