/** One line of progress, rewritten in place at most ten times a second; silent where there is no terminal. */
export class ProgressLine {
  readonly #write: (text: string) => void;
  readonly #shown: boolean;
  #last = 0;
  #length = 0;

  constructor(write: (text: string) => void, shown: boolean) {
    this.#write = write;
    this.#shown = shown;
  }

  update(text: string): void {
    const now = performance.now();
    if (!this.#shown || now - this.#last < 100) return;
    this.#last = now;
    this.#write(`\r${text.padEnd(this.#length)}`);
    this.#length = text.length;
  }

  clear(): void {
    if (this.#length > 0) this.#write(`\r${" ".repeat(this.#length)}\r`);
    this.#length = 0;
    this.#last = 0;
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

/** `12.3 MB` */
export function bytes(n: number): string {
  if (n < 1e6) return `${(n / 1e3).toFixed(1)} kB`;
  return n < 1e9 ? `${(n / 1e6).toFixed(1)} MB` : `${(n / 1e9).toFixed(2)} GB`;
}
