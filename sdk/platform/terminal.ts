import { system } from "./system.ts";

/** A terminal with line editing and history (arrows, Ctrl-A, Ctrl-R and the like, as `node:readline` has them). */
export interface Terminal {
  /**
   * The next line; undefined once the input has ended (Ctrl-D). What is typed while no line is asked for is kept and
   * shown with the next prompt, so that it never mixes with other output.
   */
  ask(prompt: string): Promise<string | undefined>;
  /** What is typed so far on the line that is asked for. */
  readonly typed: string;
  /** Empties that line. */
  eraseTyped(): void;
  /** Shows the prompt and what is typed once more, after other output. */
  show(): void;
  /** Gives the terminal back; a pending `ask` ends with undefined. */
  close(): void;
}

/** Whether somebody sits at both ends: stdin and stdout are a terminal. */
export function isTerminal(): boolean {
  const { stdin, stdout } = system("node:process", "ask the process");
  return stdin.isTTY === true && stdout.isTTY === true;
}

/**
 * Opens the terminal. Its keys are read one by one, so Ctrl-C is no signal any more: `on_ctrl_c` is called instead,
 * whether a line is asked for or not.
 */
export function openTerminal(on_ctrl_c: () => void): Terminal {
  const { createInterface } = system("node:readline", "read lines");
  const { stdin, stdout } = system("node:process", "read lines");
  let asked: ((line: string | undefined) => void) | undefined;
  const early: string[] = [];
  let is_closed = false;
  const output = outputShown(() => asked !== undefined);
  const lines = createInterface({ input: stdin, output, terminal: true, historySize: 1000 });
  const answer = (line: string | undefined) => {
    const waiting = asked;
    asked = undefined;
    waiting?.(line);
  };
  lines.on("line", (line) => {
    if (asked === undefined) early.push(line);
    else answer(line);
  });
  lines.on("SIGINT", on_ctrl_c);
  lines.on("close", () => {
    is_closed = true;
    answer(undefined);
  });
  return {
    ask(prompt) {
      const line = early.shift();
      if (line !== undefined) stdout.write(`${prompt}${line}\n`);
      if (line !== undefined || is_closed) return Promise.resolve(line);
      return new Promise((resolve) => {
        asked = resolve;
        lines.setPrompt(prompt);
        lines.prompt(true);
      });
    },
    get typed() {
      return lines.line;
    },
    eraseTyped() {
      // Deno throws where a closed terminal is written to, Node does not.
      if (is_closed) return;
      lines.write(null as never, { ctrl: true, name: "e" });
      lines.write(null as never, { ctrl: true, name: "u" });
    },
    show() {
      if (!is_closed) lines.prompt(true);
    },
    close: () => lines.close(),
  };
}

/** Stdout as readline writes to it, silent while `is_shown` says no. */
function outputShown(is_shown: () => boolean): NodeJS.WritableStream {
  const { Writable } = system("node:stream", "read lines");
  const { stdout } = system("node:process", "read lines");
  const output = new Writable({
    write(chunk, _encoding, done) {
      if (is_shown()) stdout.write(chunk);
      done();
    },
  });
  Object.defineProperty(output, "columns", { get: () => stdout.columns });
  stdout.on("resize", () => output.emit("resize"));
  return output;
}
