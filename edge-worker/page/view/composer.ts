import { el } from "./dom.ts";

export interface ComposerActions {
  send(text: string): void;
  stop(): void;
  undo(): void;
  regenerate(): void;
}

/** The message that is written, and the buttons that act on the last turn. */
export class Composer {
  readonly #text: HTMLTextAreaElement;
  readonly #send: HTMLButtonElement;
  readonly #stop: HTMLButtonElement;
  readonly #undo: HTMLButtonElement;
  readonly #again: HTMLButtonElement;
  readonly #actions: ComposerActions;
  readonly #form: HTMLElement;
  /** Ends what listens outside of it. */
  readonly #over = new AbortController();
  #is_running = false;

  constructor(form: HTMLElement, actions: ComposerActions) {
    this.#actions = actions;
    this.#form = form;
    const { signal } = this.#over;
    this.#text = el("textarea", {
      id: "message",
      rows: 1,
      placeholder: "Say something",
      attrs: { "aria-label": "Message", "aria-keyshortcuts": "Enter" },
    });
    const button = (text: string, click: () => void) => el("button", { type: "button", on: { click } }, text);
    this.#send = el("button", { type: "submit", className: "primary" }, "Send");
    this.#stop = button("Stop", () => actions.stop());
    this.#stop.className = "primary";
    this.#undo = button("Undo", () => actions.undo());
    this.#again = button("Regenerate", () => actions.regenerate());
    form.append(el("div", {}, this.#text, this.#undo, this.#again, this.#send, this.#stop));
    form.addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        this.#submit();
      },
      { signal },
    );
    this.#text.addEventListener("input", () => this.#grow());
    this.#text.addEventListener("keydown", (event) => {
      // Enter chooses among candidates while an input method is at work.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape" && this.#is_running) actions.stop();
    };
    document.addEventListener("keydown", onKey, { signal });
    this.update({ is_running: false, n_turns: 0, is_ready: false });
  }

  update({
    is_running,
    n_turns,
    is_ready,
  }: {
    is_running: boolean;
    n_turns: number;
    is_ready: boolean;
  }): void {
    const had_focus = document.activeElement === this.#stop || document.activeElement === this.#send;
    this.#is_running = is_running;
    this.#send.hidden = is_running;
    this.#stop.hidden = !is_running;
    this.#send.disabled = !is_ready;
    this.#undo.disabled = is_running || n_turns === 0;
    this.#again.disabled = is_running || n_turns === 0 || !is_ready;
    if (had_focus) (is_running ? this.#stop : this.#text).focus();
  }

  /** Takes it off the page. */
  dispose(): void {
    this.#over.abort();
    this.#form.replaceChildren();
  }

  /** Puts a text there to be written on. */
  fill(text: string): void {
    this.#text.value = text;
    this.#grow();
    this.#text.focus();
  }

  #submit(): void {
    const text = this.#text.value.trim();
    if (text === "" || this.#is_running || this.#send.disabled) return;
    this.#text.value = "";
    this.#grow();
    this.#actions.send(text);
  }

  #grow(): void {
    this.#text.style.height = "auto";
    this.#text.style.height = `${Math.min(this.#text.scrollHeight + 2, innerHeight * 0.3)}px`;
  }
}
