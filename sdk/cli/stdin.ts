import type { Command } from "commander";
import { CapstanError } from "../../models/index.ts";
import { joinPath, makeTemporaryFolder, readStdin, remove, writeFileAtomic } from "../platform/index.ts";

/** How a file that is stdin is written on the command line. */
export const DASH = "-";

/** Placeholders in `--help` that stand for a file to be read: `--axis <file>`, `[axis]`, `<runs...>`. */
const FILES = new Set(["file", "axis", "transcript", "runs", "inputs", "a", "b"]);
/** Options that take files among other things: a suite's name, a question's id. */
const MAY_BE_FILES = new Set(["suites", "questions"]);
/** Options of such a placeholder that write the file. */
const WRITTEN = new Set(["out"]);

/**
 * Stdin, which a verb may read once: as a text (`--prompt -`), or as any file that it takes (`--axis -`). As a file it
 * lies in a temporary folder while the verb runs, since axes and caps are read by ranges.
 */
export class Stdin {
  readonly #signal: AbortSignal;
  #reader: string | undefined;
  #folder: string | undefined;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** What reads stdin, such as `--axis -`; undefined while nothing does. */
  get reader(): string | undefined {
    return this.#reader;
  }

  /** Its whole text. @throws CapstanError `bad_request` when something has read it already */
  async text(reader: string): Promise<string> {
    return new TextDecoder().decode(await this.#bytes(reader));
  }

  /** Puts the path of what stdin holds in the place of every `-` that stands for a file to be read. */
  async putInPlace(command: Command, options: Record<string, unknown>, args: unknown[]): Promise<void> {
    for (const option of command.options) {
      const name = option.attributeName();
      const is_read = FILES.has(placeholder(option.flags)) || MAY_BE_FILES.has(name);
      if (!is_read || WRITTEN.has(name)) continue;
      options[name] = await this.#pathOf(options[name], `--${option.name()} -`);
    }
    for (const [i, argument] of command.registeredArguments.entries()) {
      if (FILES.has(argument.name())) args[i] = await this.#pathOf(args[i], `${argument.name()} -`);
    }
  }

  /** A message with the temporary file called what it is to its reader. */
  nameIn(message: string): string {
    return this.#folder === undefined
      ? message
      : message.replaceAll(joinPath(this.#folder, "stdin"), "stdin");
  }

  async dispose(): Promise<void> {
    if (this.#folder !== undefined) await remove(this.#folder);
  }

  async #pathOf(value: unknown, reader: string): Promise<unknown> {
    if (Array.isArray(value)) {
      const paths: unknown[] = [];
      for (const one of value) paths.push(await this.#pathOf(one, reader));
      return paths;
    }
    if (value !== DASH) return value;
    const bytes = await this.#bytes(reader);
    this.#folder = await makeTemporaryFolder("capstan-stdin-");
    const path = joinPath(this.#folder, "stdin");
    await writeFileAtomic(path, bytes);
    return path;
  }

  async #bytes(reader: string): Promise<Uint8Array> {
    if (this.#reader !== undefined) {
      const found = `${this.#reader} and ${reader}`;
      throw new CapstanError("bad_request", { action: "read stdin", need: "one thing that reads it", found });
    }
    this.#reader = reader;
    return await readStdin(this.#signal);
  }
}

/** `file` of `--axis <file>`, `runs` of `<runs...>`. */
export function placeholder(flags: string): string {
  return /[<[]([^\]>]*?)(?:\.\.\.)?[\]>]/.exec(flags)?.[1] ?? "";
}
