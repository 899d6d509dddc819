import { itemAt } from "../../../models/certain.ts";
import type { Condition, Reading, ReplyEnd, ReplyRequest, Sampling } from "../backend/backend.ts";

/** A conversation of two columns: the same messages of the visitor's, each column with replies of its own. */

export interface Token {
  text: string;
  is_reasoning: boolean;
  reading: Reading;
}

export interface ReplyState {
  condition: Condition;
  tokens: Token[];
  /** `stopped`: by the visitor; what there was until then stays. */
  status: "running" | "done" | "stopped" | "failed";
  finish_reason: string | null;
  effect: ReplyEnd["effect"];
  error: string | null;
  /** Means where the tokens' own readings are not at hand: a conversation that came by a link. */
  means: Reading | null;
}

export interface Turn {
  /** Never used twice in a conversation. */
  id: number;
  user: string;
  /** One a column; null for one that was not asked. */
  replies: (ReplyState | null)[];
}

/** What a conversation is, apart from its turns. */
export interface Settings {
  model: string;
  system: string;
  /** One a column, one or two. */
  conditions: Condition[];
  /** Where projections are read; null without an axis. */
  layer: number | null;
  sampling: Sampling;
}

export const SAMPLING: Sampling = { temperature: 0.7, max_tokens: 200, seed: 1 };

export class Conversation {
  settings: Settings;
  turns: Turn[] = [];
  #next_id = 1;

  constructor(settings: Settings) {
    this.settings = settings;
  }

  /** Adds a turn without replies. */
  add(user: string): Turn {
    const turn: Turn = { id: this.#next_id++, user, replies: this.settings.conditions.map(() => null) };
    this.turns.push(turn);
    return turn;
  }

  /** Takes the last turn away. @returns its message; null where there is none */
  undo(): string | null {
    return this.turns.pop()?.user ?? null;
  }

  /** Says something else at a turn: those after it are gone, and so are its replies. */
  edit(turn: Turn, user: string): void {
    this.turns.length = this.turns.indexOf(turn) + 1;
    turn.user = user;
    turn.replies = this.settings.conditions.map(() => null);
  }

  /** Empties a turn's reply (all where no column is named), for another. Later turns are gone: they answered the old one. */
  clearReplies(turn: Turn, column?: number): number[] {
    this.turns.length = this.turns.indexOf(turn) + 1;
    const columns = column === undefined ? [...this.settings.conditions.keys()] : [column];
    for (const at of columns) turn.replies[at] = null;
    return columns;
  }

  /** Begins a column's reply to a turn. */
  begin(turn: Turn, column: number): ReplyState {
    const reply: ReplyState = {
      condition: structuredClone(itemAt(this.settings.conditions, column)),
      tokens: [],
      status: "running",
      finish_reason: null,
      effect: null,
      error: null,
      means: null,
    };
    turn.replies[column] = reply;
    return reply;
  }

  /** What a column is asked at a turn. */
  request(turn: Turn, column: number): ReplyRequest {
    const { model, system, conditions, layer, sampling } = this.settings;
    const messages: ReplyRequest["messages"] =
      system.trim() === "" ? [] : [{ role: "system", content: system }];
    for (const past of this.turns) {
      messages.push({ role: "user", content: past.user });
      if (past === turn) break;
      const reply = past.replies[column];
      messages.push({
        role: "assistant",
        content: reply === null || reply === undefined ? "" : textOf(reply),
      });
    }
    return { model, messages, condition: itemAt(conditions, column), layer, sampling: { ...sampling } };
  }

  /** Puts turns there that came from elsewhere. */
  restore(turns: readonly Omit<Turn, "id">[]): void {
    this.turns = turns.map((turn) => ({ ...turn, id: this.#next_id++ }));
  }
}

/** A reply without its reasoning: what the next turn is given of it. */
export function textOf({ tokens }: ReplyState): string {
  return tokens
    .filter(({ is_reasoning }) => !is_reasoning)
    .map(({ text }) => text)
    .join("")
    .trim();
}

/** Which of the two readings of a token is shown. */
export type Side = "before" | "after";

/** Mean reading of a reply's tokens; null where nothing is read. */
export function meanOf(reply: ReplyState, side: Side): number | null {
  if (reply.means !== null) return reply.means[side] ?? null;
  let [sum, n] = [0, 0];
  for (const { reading } of reply.tokens) {
    const value = reading[side];
    if (value === undefined) continue;
    sum += value;
    n++;
  }
  return n === 0 ? null : sum / n;
}
