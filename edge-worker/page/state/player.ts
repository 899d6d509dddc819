import { BackendError, type ChatBackend } from "../backend/backend.ts";
import type { Conversation, ReplyState, Token, Turn } from "./conversation.ts";

/** What the page shows as it happens. */
export interface PlayerEvents {
  /** Turns came or went, or replies were emptied. */
  changed(): void;
  /** A column's reply to a turn began, or ended in any way. */
  reply(turn: Turn, column: number, reply: ReplyState): void;
  token(turn: Turn, column: number, reply: ReplyState, token: Token): void;
  /** Whether something is written. */
  running(is_running: boolean): void;
}

/** Runs a conversation's replies on a backend: the columns of a turn at one time, turns one after the other. */
export class Player {
  readonly conversation: Conversation;
  readonly #backend: ChatBackend;
  readonly #events: PlayerEvents;
  #running: AbortController | null = null;

  constructor(conversation: Conversation, backend: ChatBackend, events: PlayerEvents) {
    this.conversation = conversation;
    this.#backend = backend;
    this.#events = events;
  }

  get is_running(): boolean {
    return this.#running !== null;
  }

  /** Says something; answers in every column. */
  async send(user: string): Promise<void> {
    await this.play([user]);
  }

  /** Says one thing after the other, each once the replies before it are there, until one fails or is stopped. */
  async play(script: readonly string[]): Promise<void> {
    await this.#run(async (signal) => {
      for (const user of script) {
        if (!(await this.#answer(this.conversation.add(user), null, signal))) return;
      }
    });
  }

  /** Writes a turn's replies again (the last turn's by default), or one column's of them. */
  async regenerate(turn = this.conversation.turns.at(-1), column?: number): Promise<void> {
    if (turn === undefined) return;
    await this.#run(async (signal) => {
      const columns = this.conversation.clearReplies(turn, column);
      await this.#answer(turn, columns, signal);
    });
  }

  /** Says something else at a turn. */
  async edit(turn: Turn, user: string): Promise<void> {
    await this.#run(async (signal) => {
      this.conversation.edit(turn, user);
      await this.#answer(turn, null, signal);
    });
  }

  /** @returns the message that was taken away */
  undo(): string | null {
    if (this.is_running) return null;
    const user = this.conversation.undo();
    this.#events.changed();
    return user;
  }

  /** Ends what is written; what there is of it stays. */
  stop(): void {
    this.#running?.abort();
  }

  async #run(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    if (this.is_running) return;
    this.#running = new AbortController();
    this.#events.running(true);
    try {
      await work(this.#running.signal);
    } finally {
      this.#running = null;
      this.#events.running(false);
    }
  }

  /** @param columns null for all @returns whether every reply came to its end */
  async #answer(turn: Turn, columns: readonly number[] | null, signal: AbortSignal): Promise<boolean> {
    const all = columns ?? [...this.conversation.settings.conditions.keys()];
    this.#events.changed();
    const done = await Promise.all(all.map((column) => this.#reply(turn, column, signal)));
    return done.every(Boolean);
  }

  async #reply(turn: Turn, column: number, signal: AbortSignal): Promise<boolean> {
    const { conversation } = this;
    const reply = conversation.begin(turn, column);
    this.#events.reply(turn, column, reply);
    try {
      for await (const event of this.#backend.reply(conversation.request(turn, column), signal)) {
        if (event.kind === "end") {
          reply.finish_reason = event.finish_reason;
          reply.effect = event.effect;
          reply.status = "done";
          continue;
        }
        const { kind: _, ...token } = event;
        reply.tokens.push(token);
        this.#events.token(turn, column, reply, token);
      }
      // A stream that was given up ends without its last event.
      if (reply.status === "running") reply.status = "stopped";
    } catch (error) {
      reply.status = "failed";
      reply.error = error instanceof BackendError || error instanceof Error ? error.message : String(error);
    }
    this.#events.reply(turn, column, reply);
    return reply.status === "done";
  }
}
