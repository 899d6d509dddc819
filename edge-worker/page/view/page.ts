import type { ChatBackend, ModelCard } from "../backend/backend.ts";
import { fromFragment } from "../export/share.ts";
import { readSnapshot } from "../export/snapshot.ts";
import type { Conversation } from "../state/conversation.ts";
import { App, announce } from "./app.ts";
import { byId, el } from "./dom.ts";
import { themeButton } from "./theme.ts";
import { exportMenu, shareButton } from "./tools.ts";

/** The page around the conversation: which model it is with, and what is done with it as a whole. */
export class Page {
  #app: App | null = null;
  /** The conversation that there was, while something else is shown. */
  #last: Conversation | null = null;

  constructor() {
    const app = () => this.#app;
    byId("tools").append(
      el("button", { type: "button", on: { click: () => this.#clear() } }, "New"),
      shareButton(app),
      exportMenu(app, (file) => void this.#open(file)),
      themeButton(),
    );
    addEventListener("hashchange", () => void this.#restoreLink());
  }

  /** Shows a model; a conversation with the one before goes on with it. */
  async use(backend: ChatBackend, model: ModelCard, about: readonly (Node | string)[]): Promise<void> {
    const last = this.#app?.conversation ?? this.#last;
    this.#app?.dispose();
    byId("where").replaceChildren(...about);
    this.#app = new App(backend, model, byId("composer"));
    if (last === null) await this.#restoreLink();
    else this.#app.restore(last);
    byId("message").focus({ preventScroll: true });
  }

  /** Shows something in place of the conversation. */
  notice(...content: (Node | string)[]): void {
    this.#last = this.#app?.conversation ?? this.#last;
    this.#app?.dispose();
    this.#app = null;
    for (const id of ["heads", "turns", "side", "composer"]) byId(id).replaceChildren();
    const box = byId("welcome");
    box.hidden = false;
    box.replaceChildren(...content);
  }

  #clear(): void {
    if (location.hash !== "") history.replaceState(null, "", location.pathname + location.search);
    this.#app?.clear();
  }

  async #restoreLink(): Promise<void> {
    try {
      const shared = await fromFragment(location.hash);
      if (shared !== null) this.#app?.restore(shared);
    } catch (error) {
      announce((error as Error).message);
    }
  }

  async #open(file: File): Promise<void> {
    try {
      this.#app?.restore(readSnapshot(JSON.parse(await file.text())));
    } catch (error) {
      announce(error instanceof SyntaxError ? "The file is no JSON." : (error as Error).message);
    }
  }
}
