import type { ReplyState, Token, Turn } from "../state/conversation.ts";
import { el } from "./dom.ts";
import { ReplyView, type Shown } from "./reply_view.ts";

/** What a turn's buttons do. */
export interface TurnActions {
  edit(turn: Turn, user: string): void;
  regenerate(turn: Turn, column: number): void;
}

/** A turn: the visitor's message, and under it the columns' replies. */
export class TurnView {
  readonly turn: Turn;
  readonly element: HTMLLIElement;
  readonly #user: HTMLElement;
  readonly #replies: HTMLElement;
  readonly #views: (ReplyView | null)[] = [];
  readonly #actions: TurnActions;
  readonly #number: number;
  readonly #said: string;
  #shown: Shown;

  constructor(turn: Turn, number: number, shown: Shown, actions: TurnActions) {
    this.turn = turn;
    this.#number = number;
    this.#said = turn.user;
    this.#shown = shown;
    this.#actions = actions;
    this.#user = el("div", { className: "user" });
    this.#replies = el("div", { className: "replies" });
    this.element = el(
      "li",
      { className: "turn", id: `turn-${number}`, attrs: { tabindex: -1, "aria-label": `Turn ${number}` } },
      this.#user,
      this.#replies,
    );
    this.#showUser();
    for (const [column, reply] of turn.replies.entries()) if (reply !== null) this.setReply(column, reply);
  }

  /** Whether it shows the turn as it is: the same message, and no reply that is gone. */
  get is_current(): boolean {
    return (
      this.turn.user === this.#said &&
      this.#views.every((view, column) => view?.reply === (this.turn.replies[column] ?? undefined))
    );
  }

  setReply(column: number, reply: ReplyState): void {
    const again = () => this.#actions.regenerate(this.turn, column);
    const view = new ReplyView(reply, column, this.#shown, again);
    const old = this.#views[column];
    this.#views[column] = view;
    if (old) old.element.replaceWith(view.element);
    else this.#replies.append(...this.#views.flatMap((one) => (one ? [one.element] : [])));
  }

  addToken(column: number, token: Token): void {
    this.#views[column]?.add(token);
  }

  endReply(column: number): void {
    this.#views[column]?.update();
  }

  show(shown: Shown): void {
    this.#shown = shown;
    for (const view of this.#views) view?.show(shown);
  }

  /** Brings the turn into sight. */
  reveal(): void {
    this.element.scrollIntoView({ block: "start", behavior: "smooth" });
    this.element.focus({ preventScroll: true });
    this.element.classList.remove("shown");
    void this.element.offsetWidth;
    this.element.classList.add("shown");
  }

  #showUser(): void {
    const edit = el(
      "button",
      { type: "button", className: "quiet", on: { click: () => this.#edit() } },
      "Edit",
    );
    edit.setAttribute("aria-label", `Edit turn ${this.#number}`);
    this.#user.replaceChildren(
      el("span", { className: "number" }, String(this.#number)),
      el("p", {}, this.turn.user),
      edit,
    );
  }

  #edit(): void {
    const text = el("textarea", {
      value: this.turn.user,
      rows: 3,
      attrs: { "aria-label": `Message of turn ${this.#number}` },
    });
    const cancel = () => {
      this.#showUser();
      this.#user.querySelector("button")?.focus();
    };
    const save = () => {
      const user = text.value.trim();
      if (user !== "") this.#actions.edit(this.turn, user);
    };
    text.addEventListener("keydown", (event) => {
      if (event.key === "Escape") cancel();
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        save();
      }
    });
    const form = el(
      "form",
      {
        on: {
          submit: (event) => {
            event.preventDefault();
            save();
          },
        },
      },
      text,
      el(
        "div",
        { className: "row" },
        el("button", { type: "submit", className: "primary" }, "Send again from here"),
        el("button", { type: "button", on: { click: cancel } }, "Cancel"),
      ),
    );
    this.#user.replaceChildren(form);
    text.focus();
  }
}
