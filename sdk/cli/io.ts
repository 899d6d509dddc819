import type { Command } from "commander";
import { CapstanError } from "../../models/index.ts";
import { every, exitNow, isTty, onInterrupt, setExitCode, unlessStuck, write } from "../platform/index.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import { checkOutputs } from "./outputs.ts";
import { ProgressLine } from "./progress.ts";
import { Stdin } from "./stdin.ts";

/** What a verb has in its hands while it runs. */
export interface Io {
  readonly json: boolean;
  /** Aborted by Ctrl-C and SIGTERM; a second one ends the process at once. */
  readonly signal: AbortSignal;
  /**
   * From now on Ctrl-C asks `handler` first; where that returns true, it is done with. SIGTERM goes on ending the verb.
   */
  onCtrlC(handler: () => boolean): void;
  /** What Ctrl-C does, for a terminal whose keys are read one by one. */
  ctrlC(): void;
  /** Stdin, where a verb reads it as a text; as a file (`--axis -`) it is in place before the verb begins. */
  readonly stdin: Stdin;
  /** A line for people on stdout; nothing under `--json`. */
  print(text?: string): Promise<void>;
  /** Text as it comes (streamed tokens); nothing under `--json`. */
  stream(text: string): Promise<void>;
  /** A line on stderr, under `--json` too. */
  note(text: string): Promise<void>;
  /** What is odd and no error, on stderr under `--json` too: each text once, however often it comes up. */
  warn(text: string): Promise<void>;
  /** The one machine-readable object; printed under `--json` alone. */
  result(value: unknown): Promise<void>;
  /** Progress on stderr: a line rewritten in place on a terminal, elsewhere a line every 30 s. */
  readonly progress: ProgressLine;
}

/** The options every verb has. */
export interface CommonOptions {
  json?: boolean;
}

/** An empty path, which a shell makes of a variable that is not set, would be the folder that one is in. */
function checkPaths(options: Record<string, unknown>): void {
  const name = Object.keys(options).find((option) => PATHS.includes(option) && options[option] === "");
  if (name === undefined) return;
  const parts = { action: `read --${name}`, need: "a path", found: "an empty text" };
  throw new CapstanError("bad_request", parts);
}

const PATHS = ["out", "run", "model", "axis", "cap", "policy", "cache", "report", "junit"];

/**
 * Wraps a verb's body as a commander action: one place for Ctrl-C, errors, `--json` and exit codes.
 * The body returns its exit code (0 where it returns nothing).
 */
export function verb<A extends unknown[], O extends CommonOptions>(
  body: (io: Io, options: O, ...args: A) => Promise<ExitCode | undefined>,
): (...received: [...A, O, Command]) => Promise<void> {
  return async (...received) => {
    const options = received.at(-2) as O;
    const args = received.slice(0, -2) as A;
    const stop = new Interruption();
    const io = createIo(options.json === true, stop);
    try {
      checkPaths(options as Record<string, unknown>);
      const command = received.at(-1) as Command;
      await checkOutputs(command, options as Record<string, unknown>, args);
      await io.stdin.putInPlace(command, options as Record<string, unknown>, args);
      const code = (await unlessStuck(body(io, options, ...args), () => neverEnds(command))) ?? EXIT.done;
      // A verb may end well on Ctrl-C (chat does): it was interrupted all the same.
      setExitCode(stop.code ?? code);
    } catch (error) {
      io.progress.clear();
      setExitCode(await reportError(io, stop, error));
    } finally {
      io.progress.end();
      await io.stdin.dispose();
      stop.restore();
    }
    // What a module of the user's keeps alive (a timer of a judge) must not outlast an interrupted verb.
    if (stop.code !== undefined) exitNow(stop.code);
  };
}

function neverEnds(command: Command): CapstanError {
  const found = "a wait for something that never comes";
  return new CapstanError("internal", { action: command.name(), need: "work that ends", found });
}

/** What Ctrl-C and SIGTERM do: the first lets files be completed, the second ends the process. */
class Interruption {
  readonly #abort = new AbortController();
  readonly signal = this.#abort.signal;
  /** What the process ends with, once it was interrupted. */
  code: ExitCode | undefined;
  /** Asked before Ctrl-C ends anything. */
  handler: () => boolean = () => false;
  readonly restore = onInterrupt((signal) => this.receive(signal));

  receive(signal: "SIGINT" | "SIGTERM"): void {
    const code = signal === "SIGINT" ? EXIT.interrupted : EXIT.terminated;
    if (this.signal.aborted) exitNow(code);
    if (signal === "SIGINT" && this.handler()) return;
    this.code = code;
    this.#abort.abort(new Error("interrupted"));
  }
}

function createIo(json: boolean, stop: Interruption): Io {
  const progress = new ProgressLine({
    write: (text) => void write("stderr", text),
    is_tty: isTty("stderr"),
    now: () => performance.now(),
    every,
  });
  const people = async (text: string) => {
    if (json) return;
    progress.clear();
    await write("stdout", text);
  };
  const note = async (text: string) => {
    progress.clear();
    await write("stderr", `${text}\n`);
  };
  const warned = new Set<string>();
  return {
    json,
    signal: stop.signal,
    onCtrlC: (handler) => {
      stop.handler = handler;
    },
    ctrlC: () => stop.receive("SIGINT"),
    stdin: new Stdin(stop.signal),
    progress,
    print: (text = "") => people(`${text}\n`),
    stream: people,
    note,
    warn: async (text) => {
      if (warned.has(text)) return;
      warned.add(text);
      await note(`capstan: ${text}`);
    },
    result: async (value) => {
      progress.clear();
      if (json) await write("stdout", `${JSON.stringify(value, plainJson, 2)}\n`);
    },
  };
}

/** Typed arrays as lists; numbers JSON lacks as null. */
function plainJson(_key: string, value: unknown): unknown {
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return Array.from(value as Float32Array);
  return value;
}

async function reportError(io: Io, stop: Interruption, error: unknown): Promise<ExitCode> {
  const interrupted = stop.code !== undefined;
  const code = error instanceof CapstanError ? error.code : "internal";
  const text = io.stdin.nameIn(error instanceof Error ? error.message : String(error));
  const message = interrupted ? "interrupted; files written so far are complete" : text;
  // It may be stdout itself that fails.
  await io.result({ error: { code: interrupted ? "aborted" : code, message } }).catch(() => {});
  // It may have been said as a warning already.
  await io.warn(message);
  if (code === "internal" && error instanceof Error && !interrupted) await io.note(error.stack ?? "");
  return stop.code ?? (code === "bad_request" ? EXIT.usage : EXIT.failed);
}
