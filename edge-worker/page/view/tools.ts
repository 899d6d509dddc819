import { toJson, toMarkdown, toPage } from "../export/files.ts";
import { toFragment } from "../export/share.ts";
import { type App, announce } from "./app.ts";
import { el } from "./dom.ts";

/** Buttons that take the conversation elsewhere. */

export function shareButton(app: () => App | null): HTMLElement {
  const share = async () => {
    const conversation = app()?.conversation;
    if (conversation === undefined || conversation.turns.length === 0) {
      announce("There is nothing to share yet.");
      return;
    }
    const fragment = await toFragment(conversation);
    history.replaceState(null, "", fragment);
    const copied = await copy(location.href);
    announce(copied ? "Link copied: it holds the whole conversation." : "The address line has the link.");
  };
  return el("button", { type: "button", on: { click: () => void share() } }, "Share");
}

async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

export function exportMenu(app: () => App | null, open: (file: File) => void): HTMLElement {
  const menu = el("details", { className: "menu" }, el("summary", { className: "button" }, "Export"));
  const item = (text: string, click: () => void) =>
    el(
      "button",
      {
        type: "button",
        on: {
          click: () => {
            menu.open = false;
            menu.querySelector("summary")?.focus();
            click();
          },
        },
      },
      text,
    );
  const save = (ending: string, type: string, make: (of: App) => string) => () => {
    const of = app();
    if (of === null || of.conversation.turns.length === 0) announce("There is nothing to export yet.");
    else download(`capstan-chat.${ending}`, type, make(of));
  };
  const input = el("input", {
    type: "file",
    accept: ".json,application/json",
    hidden: true,
    attrs: { "aria-label": "A conversation in JSON" },
    on: {
      change: () => {
        const [file] = input.files ?? [];
        if (file !== undefined) open(file);
        input.value = "";
      },
    },
  });
  menu.append(
    el(
      "div",
      {},
      item(
        "JSON",
        save("json", "application/json", (of) => toJson(of.conversation, of.bounds)),
      ),
      item(
        "Markdown",
        save("md", "text/markdown", (of) => toMarkdown(of.conversation, of.bounds)),
      ),
      item(
        "Page with chart",
        save("html", "text/html", (of) => toPage(of.conversation, of.bounds, of.side)),
      ),
      item("Open JSON…", () => input.click()),
      input,
    ),
  );
  const close = (event: Event) => {
    const is_away =
      event.type === "focusout" ? !menu.contains((event as FocusEvent).relatedTarget as Node | null) : true;
    if (is_away) menu.open = false;
  };
  menu.addEventListener("focusout", close);
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.stopPropagation();
    menu.open = false;
    menu.querySelector("summary")?.focus();
  });
  return menu;
}

function download(name: string, type: string, text: string): void {
  const href = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
