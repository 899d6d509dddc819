import { el } from "./dom.ts";

/** Light or dark: as the system has it, until the visitor chooses. */

const NAME = "capstan-theme";
type Theme = "light" | "dark";

export function themeButton(): HTMLElement {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = el("button", {
    type: "button",
    on: { click: () => choose(now() === "dark" ? "light" : "dark") },
  });
  const now = (): Theme => chosen() ?? (system.matches ? "dark" : "light");
  const show = () => {
    document.documentElement.dataset.theme = now();
    button.textContent = now() === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `${now() === "dark" ? "Light" : "Dark"} theme`);
  };
  const choose = (theme: Theme) => {
    try {
      localStorage.setItem(NAME, theme);
    } catch {
      // A browser that keeps nothing shows it until it is left.
    }
    last = theme;
    show();
  };
  system.addEventListener("change", show);
  show();
  return button;
}

let last: Theme | null = null;

function chosen(): Theme | null {
  if (last !== null) return last;
  try {
    const kept = localStorage.getItem(NAME);
    return kept === "light" || kept === "dark" ? kept : null;
  } catch {
    return null;
  }
}
