import { CapstanError } from "../../../models/index.ts";
import { generate } from "../../inference/generate.ts";
import type { Caps } from "../../science/index.ts";
import type { GenerateOptions, Message, Model } from "../../types.ts";
import type { Io } from "../io.ts";

/** What a chat begins with. */
export interface TalkOptions {
  system?: string;
  /** A `.cap.safetensors` file and its caps, applied from the start. */
  cap?: { path: string; caps: Caps };
  /** The axis that `/drift` projects on, unless it names another. */
  axis?: string;
  generation: GenerateOptions;
}

/** A conversation with a model: its messages, its caps, and the reply that is being written. */
export class Talk {
  readonly io: Io;
  readonly model: Model;
  readonly axis: string | undefined;
  messages: Message[];
  /** The caps at hand, whether they are applied or not. */
  cap: TalkOptions["cap"];
  is_capped: boolean;
  readonly #start: readonly Message[];
  readonly #generation: GenerateOptions;
  #stop: (() => void) | undefined;

  constructor(io: Io, model: Model, options: TalkOptions) {
    this.io = io;
    this.model = model;
    this.axis = options.axis;
    this.#start = options.system === undefined ? [] : [{ role: "system", content: options.system }];
    this.messages = [...this.#start];
    this.cap = options.cap;
    this.is_capped = options.cap !== undefined;
    this.#generation = options.generation;
  }

  get hooks(): Caps["hooks"] {
    return this.is_capped ? (this.cap?.caps.hooks ?? []) : [];
  }

  /** Starts over, with the system message that the chat began with. */
  reset(): void {
    this.messages = [...this.#start];
  }

  /** Forgets the last message of the user and what followed it. @returns whether there was one */
  undo(): boolean {
    const at = this.messages.findLastIndex(({ role }) => role === "user");
    if (at >= 0) this.messages = this.messages.slice(0, at);
    return at >= 0;
  }

  /** Stops the reply that is being written. @returns whether one was */
  stop(): boolean {
    this.#stop?.();
    return this.#stop !== undefined;
  }

  /** What the user says, and the reply to it. A turn that fails is said and dropped, and the talk goes on. */
  async say(text: string): Promise<void> {
    const before = this.messages;
    this.messages = [...before, { role: "user", content: text }];
    try {
      await this.answer();
    } catch (error) {
      if (!(error instanceof CapstanError) || this.io.signal.aborted) throw error;
      const hint = error.code === "context_overflow" ? " Type /undo or /reset." : "";
      await this.io.note(`capstan: ${error.message}${hint}`);
      this.messages = before;
    }
  }

  /** A reply to the messages so far. One that is stopped is kept as far as it came; one of nothing drops its question. */
  async answer(): Promise<void> {
    let is_stopped = false;
    const stopped = new Promise<undefined>((resolve) => {
      this.#stop = () => {
        is_stopped = true;
        resolve(undefined);
      };
    });
    try {
      const reply = generate(this.model, this.messages, { ...this.#generation, hooks: this.hooks });
      const tokens = reply[Symbol.asyncIterator]();
      for (;;) {
        const next = await Promise.race([tokens.next(), stopped]);
        if (next === undefined || next.done === true) break;
        await this.io.stream(next.value.text);
      }
      if (is_stopped) await tokens.return?.();
      const { text } = await reply.result;
      await this.io.print(is_stopped ? " [stopped]" : "");
      if (text === "" && is_stopped) this.undo();
      else this.messages = [...this.messages, { role: "assistant", content: text }];
    } finally {
      this.#stop = undefined;
    }
  }
}
