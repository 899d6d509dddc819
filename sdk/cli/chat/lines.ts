import { isTerminal, openTerminal, readLines } from "../../platform/index.ts";
import type { Io } from "../io.ts";

/** Where the lines of a chat come from. */
export interface Lines {
  /** Whether somebody types them, with editing and history. */
  readonly is_terminal: boolean;
  /** The next line; undefined at the end of the input or of the verb. */
  next(): Promise<string | undefined>;
  /** Empties the line that is being typed; whether there was anything on it. */
  erase(): boolean;
  /** Says something while a line is being typed. */
  interject(text: string): Promise<void>;
  close(): void;
}

const PROMPT = "> ";

/** A terminal where there is one at both ends, else the lines of stdin. */
export function openLines(io: Io): Lines {
  return isTerminal() && !io.json ? terminalLines(io) : pipedLines(io);
}

function terminalLines(io: Io): Lines {
  const terminal = openTerminal(() => io.ctrlC());
  const close = () => terminal.close();
  io.signal.addEventListener("abort", close, { once: true });
  return {
    is_terminal: true,
    next: () => terminal.ask(PROMPT),
    erase() {
      const typed = terminal.typed !== "";
      if (typed) terminal.eraseTyped();
      return typed;
    },
    async interject(text) {
      await io.note(`\n${text}`);
      terminal.show();
    },
    close() {
      io.signal.removeEventListener("abort", close);
      close();
    },
  };
}

function pipedLines(io: Io): Lines {
  const lines = readLines(io.signal);
  return {
    is_terminal: false,
    async next() {
      await io.stream(PROMPT);
      const { value, done } = await lines.next();
      return done === true ? undefined : value;
    },
    erase: () => false,
    interject: io.note,
    close: () => void lines.return(),
  };
}
