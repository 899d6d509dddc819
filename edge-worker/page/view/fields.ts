import { el } from "./dom.ts";

/** Labelled controls. */

let n_fields = 0;

export interface Slider {
  label: string;
  value: number;
  min: number;
  max: number;
  step?: number;
  /** The value as it is shown. Default: the number. */
  show?: (value: number) => string;
  /** Called as it moves. */
  change: (value: number) => void;
}

export function slider({ label, value, min, max, step = 1, show = String, change }: Slider): HTMLElement {
  const id = `field-${++n_fields}`;
  const output = el("output", { attrs: { for: id } }, show(value));
  const input = el("input", {
    type: "range",
    id,
    attrs: { min, max, step, value, "aria-valuetext": show(value) },
    on: {
      input: () => {
        const now = Number(input.value);
        output.textContent = show(now);
        input.setAttribute("aria-valuetext", show(now));
        change(now);
      },
    },
  });
  return el("div", { className: "field" }, el("label", { attrs: { for: id } }, label, output), input);
}

export function field(
  label: string,
  control: HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement,
): HTMLElement {
  control.id = `field-${++n_fields}`;
  return el("div", { className: "field" }, el("label", { attrs: { for: control.id } }, label), control);
}
