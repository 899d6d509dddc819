import { byId } from "./dom.ts";

/** The one small text that shows a number where the pointer or the keyboard is. */
const tip = () => byId<HTMLDivElement>("tip");

export function showTip(target: Element, text: string): void {
  const element = tip();
  element.textContent = text;
  element.hidden = false;
  const at = target.getBoundingClientRect();
  const own = element.getBoundingClientRect();
  const left = Math.min(Math.max(8, at.left + at.width / 2 - own.width / 2), innerWidth - own.width - 8);
  const above = at.top - own.height - 6;
  element.style.left = `${left}px`;
  element.style.top = `${above < 4 ? at.bottom + 6 : above}px`;
}

export function hideTip(): void {
  tip().hidden = true;
}
