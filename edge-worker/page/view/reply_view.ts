import { itemAt } from "../../../models/certain.ts";
import type { Bounds } from "../state/conditions.ts";
import { conditionName } from "../state/conditions.ts";
import { meanOf, type ReplyState, type Side, type Token, textOf } from "../state/conversation.ts";
import { shortNumber } from "./chart.ts";
import { byId, el } from "./dom.ts";
import { tintOf } from "./tint.ts";
import { hideTip, showTip } from "./tip.ts";

/** How readings are shown now. */
export interface Shown {
  side: Side;
  bounds: Bounds;
  layer: number | null;
}

/** One column's reply to a turn: its tokens, tinted, and what the cap did. */
export class ReplyView {
  readonly element: HTMLElement;
  readonly #head: HTMLElement;
  readonly #mean: HTMLElement;
  readonly #text: HTMLElement;
  readonly #foot: HTMLElement;
  readonly #error: HTMLElement;
  readonly #regenerate: () => void;
  readonly reply: ReplyState;
  #shown: Shown;
  /** The token that the keyboard is at; -1 for none. */
  #current = -1;

  constructor(reply: ReplyState, column: number, shown: Shown, regenerate: () => void) {
    this.reply = reply;
    this.#shown = shown;
    this.#regenerate = regenerate;
    this.#mean = el("span", { className: "mean" });
    this.#head = el(
      "div",
      { className: "reply-head" },
      el("strong", {}, conditionName(reply.condition)),
      this.#mean,
    );
    this.#text = el("div", {
      className: "text",
      attrs: {
        tabindex: 0,
        role: "group",
        "aria-label": `${conditionName(reply.condition)}, reply. Left and right arrows read the projection of each token.`,
      },
      on: {
        pointerover: (event) => this.#point(event.target),
        pointerout: hideTip,
        keydown: (event) => this.#key(event),
        blur: () => this.#moveTo(-1),
      },
    });
    this.#foot = el("div", { className: "reply-foot" });
    this.#error = el("p", { className: "error" });
    this.element = el(
      "article",
      { className: `reply column-${column}` },
      this.#head,
      this.#text,
      this.#error,
      this.#foot,
    );
    for (const token of reply.tokens) this.add(token);
    this.update();
  }

  add(token: Token): void {
    const span = el("span", { className: token.is_reasoning ? "token reasoning" : "token" }, token.text);
    this.#text.append(span);
    this.#tint(span, token);
  }

  /** Shows readings in another way. */
  show(shown: Shown): void {
    this.#shown = shown;
    for (const [i, token] of this.reply.tokens.entries())
      this.#tint(this.#text.children[i] as HTMLElement, token);
    this.update();
  }

  /** Brings all but the tokens up to date. */
  update(): void {
    const { status, error, effect, finish_reason } = this.reply;
    this.element.classList.toggle("running", status === "running");
    this.element.setAttribute("aria-busy", String(status === "running"));
    this.#error.textContent = error ?? "";
    this.#error.hidden = error === null;
    this.#mean.textContent = this.#meanText();
    const notes = [
      effect === null
        ? null
        : effect.touched === 0
          ? "The cap moved nothing"
          : `The cap moved ${effect.touched} of ${effect.tokens} tokens by ${shortNumber((effect.mean_shift * effect.tokens) / effect.touched)}`,
      status === "stopped" ? "stopped" : finish_reason === "length" ? "cut at the longest reply" : null,
    ].filter((note) => note !== null);
    const regenerate = el(
      "button",
      { type: "button", className: "quiet", on: { click: this.#regenerate } },
      "Again",
    );
    regenerate.setAttribute("aria-label", `Again: ${conditionName(this.reply.condition)}`);
    const copy = el(
      "button",
      {
        type: "button",
        className: "quiet",
        on: { click: () => void navigator.clipboard?.writeText(textOf(this.reply)) },
      },
      "Copy",
    );
    copy.setAttribute("aria-label", `Copy: ${conditionName(this.reply.condition)}`);
    this.#foot.replaceChildren(
      el("span", { className: "effect" }, notes.join("; ")),
      ...(status === "running" ? [] : [regenerate, copy]),
    );
  }

  #meanText(): string {
    const mean = meanOf(this.reply, this.#shown.side);
    if (mean === null) return "";
    const { floor, percentiles } = this.#shown.bounds;
    const bound = floor ?? percentiles?.[1];
    if (bound === undefined) return `mean ${shortNumber(mean)}`;
    const name = floor === null ? "p25" : "floor";
    return `mean ${shortNumber(mean)}, ${mean < bound ? "▼ below" : "▲ above"} the ${name}`;
  }

  #tint(span: HTMLElement, { reading }: Token): void {
    const tint = tintOf(reading[this.#shown.side], this.#shown.bounds);
    span.classList.toggle("low", tint?.side === "low");
    span.classList.toggle("high", tint?.side === "high");
    if (tint === null) span.style.removeProperty("--strength");
    else span.style.setProperty("--strength", tint.strength.toFixed(3));
  }

  #point(target: EventTarget | null): void {
    const at = target instanceof Element ? [...this.#text.children].indexOf(target) : -1;
    if (at >= 0) showTip(itemAt(this.#text.children, at), this.#describe(at));
  }

  #describe(at: number): string {
    const { reading } = itemAt(this.reply.tokens, at);
    const { side, layer, bounds } = this.#shown;
    const value = reading[side];
    if (value === undefined) return "no reading";
    const other = side === "after" ? reading.before : reading.after;
    const moved =
      other === undefined || Math.abs(other - value) < 1e-4
        ? ""
        : `\n${side === "after" ? "before" : "after"} the cap ${shortNumber(other)}`;
    const floor = bounds.floor === null ? "" : `\nfloor ${shortNumber(bounds.floor)}`;
    return `${shortNumber(value)}${layer === null ? "" : ` at layer ${layer}`}${moved}${floor}`;
  }

  #key(event: KeyboardEvent): void {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const last = this.reply.tokens.length - 1;
    this.#moveTo(Math.min(last, Math.max(0, this.#current + step)));
  }

  #moveTo(at: number): void {
    this.#text.children[this.#current]?.classList.remove("current");
    this.#current = at;
    const span = this.#text.children[at];
    if (span === undefined) {
      hideTip();
      return;
    }
    span.classList.add("current");
    showTip(span, this.#describe(at));
    const { text } = itemAt(this.reply.tokens, at);
    byId("token").textContent = `${text.trim()}: ${this.#describe(at)}`;
  }
}
