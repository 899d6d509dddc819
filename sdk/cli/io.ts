import type { Command } from "commander";
import { CapstanError } from "../../models/index.ts";
import { exitNow, isTty, onInterrupt, setExitCode, write } from "../platform/index.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import { ProgressLine } from "./progress.ts";

/** What a verb has in its hands while it runs. */
export interface Io {
  readonly json: boolean;
  /** Aborted by Ctrl-C; a second one ends the process at once. */
  readonly signal: AbortSignal;
  /** A line for people on stdout; nothing under `--json`. */
  print(text?: string): Promise<void>;
  /** Text as it comes (streamed tokens); nothing under `--json`. */
  stream(text: string): Promise<void>;
  /** A line on stderr, under `--json` too. */
  note(text: string): Promise<void>;
  /** The one machine-readable object; printed under `--json` alone. */
  result(value: unknown): Promise<void>;
  /** The line of progress on stderr; silent where that is no terminal. */
  readonly progress: ProgressLine;
}

/** The options every verb has. */
export interface CommonOptions {
  json?: boolean;
}

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
    const abort = new AbortController();
    const restore = onInterrupt(() => {
      if (abort.signal.aborted) exitNow(EXIT.interrupted);
      abort.abort(new Error("interrupted"));
    });
    const io = createIo(options.json === true, abort.signal);
    try {
      const code = (await body(io, options, ...args)) ?? EXIT.done;
      // A verb may end well on Ctrl-C (chat does): it was interrupted all the same.
      setExitCode(abort.signal.aborted ? EXIT.interrupted : code);
    } catch (error) {
      io.progress.clear();
      setExitCode(await reportError(io, error));
    } finally {
      io.progress.clear();
      restore();
    }
  };
}

function createIo(json: boolean, signal: AbortSignal): Io {
  const progress = new ProgressLine((text) => void write("stderr", text), isTty("stderr"));
  const people = async (text: string) => {
    if (json) return;
    progress.clear();
    await write("stdout", text);
  };
  return {
    json,
    signal,
    progress,
    print: (text = "") => people(`${text}\n`),
    stream: people,
    note: async (text) => {
      progress.clear();
      await write("stderr", `${text}\n`);
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

async function reportError(io: Io, error: unknown): Promise<ExitCode> {
  const interrupted = io.signal.aborted;
  const code = error instanceof CapstanError ? error.code : "internal";
  const text = error instanceof Error ? error.message : String(error);
  const message = interrupted ? "interrupted; files written so far are complete" : text;
  // It may be stdout itself that fails.
  await io.result({ error: { code: interrupted ? "aborted" : code, message } }).catch(() => {});
  await io.note(`capstan: ${message}`);
  if (code === "internal" && error instanceof Error && !interrupted) await io.note(error.stack ?? "");
  return interrupted ? EXIT.interrupted : code === "bad_request" ? EXIT.usage : EXIT.failed;
}
