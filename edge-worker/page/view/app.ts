import type { ChatBackend, Condition, ModelCard } from "../backend/backend.ts";
import { type Bounds, boundsAt, conditionName, firstConditions, firstLayer } from "../state/conditions.ts";
import {
  Conversation,
  meanOf,
  SAMPLING,
  type Settings,
  type Side,
  type Turn,
} from "../state/conversation.ts";
import { Player } from "../state/player.ts";
import { SCRIPTS, type Script } from "../state/presets.ts";
import { shortNumber } from "./chart.ts";
import { columnHead } from "./column_head.ts";
import { Composer } from "./composer.ts";
import { byId } from "./dom.ts";
import { DriftPanel } from "./drift_panel.ts";
import type { Shown } from "./reply_view.ts";
import { setupPanel } from "./setup_panel.ts";
import { hideTip } from "./tip.ts";
import { TurnView } from "./turn_view.ts";
import { welcome } from "./welcome.ts";

/** The page on a backend and one of its models. */
export class App {
  readonly conversation: Conversation;
  readonly model: ModelCard;
  readonly #player: Player;
  readonly #composer: Composer;
  readonly #drift: DriftPanel;
  readonly #turns = byId<HTMLOListElement>("turns");
  #views: TurnView[] = [];
  #side: Side = "after";
  #drawing = 0;
  #is_disposed = false;

  constructor(backend: ChatBackend, model: ModelCard, composer: HTMLElement) {
    this.model = model;
    const conditions = firstConditions(model);
    this.conversation = new Conversation({
      model: model.name,
      system: "",
      conditions,
      layer: firstLayer(model, conditions),
      sampling: { ...SAMPLING },
    });
    this.#player = new Player(this.conversation, backend, {
      changed: () => {
        this.#showTurns();
        this.#views.at(-1)?.element.scrollIntoView({ block: "end" });
      },
      reply: (turn, column, reply) => {
        const view = this.#viewOf(turn);
        this.#following(() => {
          if (reply.status === "running") view?.setReply(column, reply);
          else view?.endReply(column);
        });
        this.#draw();
      },
      token: (turn, column, _, token) => {
        this.#following(() => this.#viewOf(turn)?.addToken(column, token));
        this.#draw();
      },
      running: (is_running) => {
        announce("");
        this.#showButtons();
        if (!is_running) this.#announceReplies();
      },
    });
    this.#composer = new Composer(composer, {
      send: (text) => void this.#player.send(text),
      stop: () => this.#player.stop(),
      undo: () => this.#undo(),
      regenerate: () => void this.#player.regenerate(),
    });
    this.#drift = new DriftPanel(this.#side, {
      reveal: (turn) => this.#views[turn]?.reveal(),
      side: (side) => {
        this.#side = side;
        this.#showReadings();
      },
    });
    this.show();
  }

  get is_running(): boolean {
    return this.#player.is_running;
  }

  get side(): Side {
    return this.#side;
  }

  get bounds(): Bounds {
    const { layer, conditions } = this.conversation.settings;
    return boundsAt(this.model, layer, conditions);
  }

  /** Begins again, with the same settings. */
  clear(): void {
    this.#player.stop();
    this.conversation.turns = [];
    this.show();
  }

  /** Shows a conversation that came from elsewhere, as far as this model has its caps and layers. */
  restore({ settings, turns }: { settings: Settings; turns: readonly Omit<Turn, "id">[] }): void {
    this.#player.stop();
    const { model, axis } = { model: this.model, axis: this.model.axis };
    const isKnown = ({ cap }: Condition) =>
      cap === null
        ? !model.pinned
        : typeof cap === "string"
          ? model.caps.some(({ name }) => name === cap)
          : model.own !== null;
    const conditions = settings.conditions.every(isKnown) ? settings.conditions : firstConditions(model);
    const has_layer = settings.layer !== null && axis !== null && axis.layers.includes(settings.layer);
    const layer = has_layer ? settings.layer : firstLayer(model, conditions);
    this.conversation.settings = { ...settings, model: model.name, conditions, layer };
    this.conversation.restore(
      turns.map((turn) => ({ ...turn, replies: conditions.map((_, i) => turn.replies[i] ?? null) })),
    );
    this.show();
  }

  /** Takes it off the page. */
  dispose(): void {
    this.#player.stop();
    this.#composer.dispose();
    cancelAnimationFrame(this.#drawing);
    this.#is_disposed = true;
  }

  /** Shows everything as it is now. */
  show(): void {
    const { settings } = this.conversation;
    document.body.style.setProperty("--columns", String(settings.conditions.length));
    this.#showHeads();
    byId("side").replaceChildren(
      this.#drift.element,
      setupPanel(settings, this.model, (part) => this.#set(part)),
    );
    this.#showTurns();
    this.#showButtons();
  }

  #showHeads(): void {
    byId("heads").replaceChildren(
      ...this.conversation.settings.conditions.map((condition, column) =>
        columnHead(this.model, column, condition, (changed, is_final) => {
          this.#setCondition(column, changed);
          if (is_final) this.#showHeads();
        }),
      ),
    );
  }

  #setCondition(column: number, condition: Condition): void {
    const conditions = this.conversation.settings.conditions.with(column, condition);
    this.#set({ conditions });
    this.#showReadings();
  }

  #set(part: Partial<Settings>): void {
    Object.assign(this.conversation.settings, part);
    if (part.layer !== undefined) this.#showReadings();
  }

  #play({ system, turns }: Script): void {
    this.conversation.settings.system = system;
    this.show();
    void this.#player.play(turns);
  }

  #undo(): void {
    const text = this.#player.undo();
    if (text !== null) this.#composer.fill(text);
  }

  #showTurns(): void {
    hideTip();
    const { turns, settings } = this.conversation;
    const old = new Map(this.#views.map((view) => [view.turn, view]));
    this.#views = turns.map((turn, i) => {
      const view = old.get(turn);
      // A turn that was changed has lost a reply, or its message is another.
      if (view?.is_current === true) return view;
      return new TurnView(turn, i + 1, this.#shown(), {
        edit: (of, user) => void this.#player.edit(of, user),
        regenerate: (of, column) => void this.#player.regenerate(of, column),
      });
    });
    this.#turns.replaceChildren(...this.#views.map(({ element }) => element));
    const start = byId("welcome");
    start.hidden = turns.length > 0;
    if (turns.length === 0)
      start.replaceChildren(
        ...welcome(
          SCRIPTS,
          { n_columns: settings.conditions.length, has_axis: this.model.axis !== null },
          (script) => this.#play(script),
        ),
      );
    this.#draw();
    this.#showButtons();
  }

  #showReadings(): void {
    const shown = this.#shown();
    for (const view of this.#views) view.show(shown);
    this.#draw();
  }

  #shown(): Shown {
    return { side: this.#side, layer: this.conversation.settings.layer, bounds: this.bounds };
  }

  /** Says to a screen reader that replies have ended, and what was read. */
  #announceReplies(): void {
    const number = this.conversation.turns.length;
    const replies = this.conversation.turns.at(-1)?.replies ?? [];
    const parts = replies.flatMap((reply) => {
      const mean = reply && meanOf(reply, this.#side);
      return reply === null
        ? []
        : [`${conditionName(reply.condition)}${mean === null ? "" : ` ${shortNumber(mean)}`}`];
    });
    if (parts.length > 0) byId("token").textContent = `Turn ${number} is answered. ${parts.join(", ")}.`;
  }

  #showButtons(): void {
    const n_turns = this.conversation.turns.length;
    this.#composer.update({ is_running: this.#player.is_running, n_turns, is_ready: true });
  }

  /** Draws the chart once a frame, however many tokens come. */
  #draw(): void {
    if (this.#drawing !== 0 || this.#is_disposed) return;
    this.#drawing = requestAnimationFrame(() => {
      this.#drawing = 0;
      this.#drift.update(this.conversation, this.bounds, this.#side);
    });
  }

  #viewOf(turn: Turn): TurnView | undefined {
    return this.#views.find((view) => view.turn === turn);
  }

  /** Keeps the end of the page in sight while it grows, where it is in sight. */
  #following(change: () => void): void {
    const page = document.documentElement;
    const is_at_end = page.scrollHeight - page.scrollTop - page.clientHeight < 120;
    change();
    if (is_at_end) page.scrollTop = page.scrollHeight;
  }
}

/** Says something to the visitor for some seconds, aloud to a screen reader. */
export function announce(text: string): void {
  const status = byId("status");
  clearTimeout(clearing);
  status.textContent = text;
  if (text !== "") clearing = setTimeout(() => status.replaceChildren(), 6000);
}

let clearing: ReturnType<typeof setTimeout> | undefined;
