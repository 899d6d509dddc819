import { spawn } from "node:child_process";
import { join } from "node:path";
import { python } from "./parts.ts";

/** A program that runs in a pseudo terminal, which the test types into. */
export interface PtyProgram extends Disposable {
  /** Types keys as they are: `\r` is Enter, `\x03` Ctrl-C, `\x04` Ctrl-D, `\x1b[A` the arrow up. */
  type(keys: string): void;
  /** Waits until the terminal has shown the pattern behind what was waited for before; what it found. */
  shows(pattern: RegExp): Promise<RegExpExecArray>;
  /** All that the terminal showed. */
  readonly screen: string;
  /** Its exit code. */
  readonly ended: Promise<number | null>;
}

/** Starts a program (its path and arguments) in a pseudo terminal of Python's module pty. */
export function startInPty(
  command: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): PtyProgram {
  const env = { ...process.env, TERM: "xterm", ...options.env };
  const args = [join(import.meta.dirname, "in_pty.py"), ...command];
  const child = spawn(python, args, { cwd: options.cwd, env, stdio: ["pipe", "pipe", "inherit"] });
  let screen = "";
  let seen = 0;
  const listeners = new Set<() => void>();
  const report = () => {
    for (const listener of [...listeners]) listener();
  };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    screen += text;
    report();
  });
  let is_over = false;
  const ended = new Promise<number | null>((resolve) => {
    child.on("close", (code) => {
      is_over = true;
      resolve(code);
      report();
    });
  });
  return {
    type: (keys) => void child.stdin.write(keys),
    shows: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = pattern.exec(screen.slice(seen));
          if (found === null && !is_over) return;
          listeners.delete(look);
          if (found === null) reject(new Error(`${pattern} was not shown; the terminal:\n${screen}`));
          else {
            seen += found.index + found[0].length;
            resolve(found);
          }
        };
        listeners.add(look);
        look();
      }),
    get screen() {
      return screen;
    },
    ended,
    // The program loses its terminal with it.
    [Symbol.dispose]: () => void child.kill(),
  };
}
