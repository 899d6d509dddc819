/** Without a terminal: milliseconds between two lines of progress. */
const LINE_MS = 30_000;

/** What progress is written with; tests give their own. */
export interface ProgressOutput {
  write(text: string): void;
  /** A terminal has one line, rewritten in place; anything else gets a line now and then. */
  is_tty: boolean;
  /** Milliseconds on any clock. */
  now(): number;
  /** Calls back every so many milliseconds until the returned function is called. */
  every(ms: number, call: () => void): () => void;
}

/**
 * Progress on stderr. On a terminal: one line, rewritten in place at most ten times a second. Elsewhere (a log, a
 * file): the newest text as a line every 30 s, also while one step takes longer than that.
 */
export class ProgressLine {
  readonly #output: ProgressOutput;
  #last = 0;
  #length = 0;
  #text = "";
  #stop: (() => void) | undefined;

  constructor(output: ProgressOutput) {
    this.#output = output;
  }

  update(text: string): void {
    if (!this.#output.is_tty) {
      this.#keep(text);
      return;
    }
    const now = this.#output.now();
    if (now - this.#last < 100) return;
    this.#last = now;
    this.#output.write(`\r${text.padEnd(this.#length)}`);
    this.#length = text.length;
  }

  /** Removes the line before something else is written; the progress of what goes on is shown again. */
  clear(): void {
    if (this.#length > 0) this.#output.write(`\r${" ".repeat(this.#length)}\r`);
    this.#length = 0;
    this.#last = 0;
  }

  /** Nothing is shown any more: the verb is at its end. */
  end(): void {
    this.clear();
    this.#stop?.();
    this.#stop = undefined;
  }

  #keep(text: string): void {
    this.#text = text;
    this.#stop ??= this.#output.every(LINE_MS, () => this.#output.write(`${this.#text}\n`));
  }
}

/** `1,234`, as counts read well. */
export function count(n: number): string {
  return Math.round(n).toLocaleString("en-US");
}

/** `1 min 05 s`, `12 s`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}

/** `12.3 MB`: of the unit in which it is below 1000 as it is shown. */
export function bytes(n: number): string {
  if (n < 999_950) return `${(n / 1e3).toFixed(1)} kB`;
  return n < 999_950_000 ? `${(n / 1e6).toFixed(1)} MB` : `${(n / 1e9).toFixed(2)} GB`;
}
