import { itemAt } from "../../../../../models/certain.ts";
import { LONGEST_TEXT, spend, spendRead, spendText } from "../budget.ts";
import { Fault } from "../errors.ts";
import { textKey } from "../keys.ts";
import { indexOf, PyObject, type Value } from "../object.ts";
import { sliceRange } from "../slices.ts";
import { codePoint, UNPRINTABLE } from "./unicode.ts";

/**
 * Where a text of a request came from. Texts carry it along through everything that a template does with them, so
 * that the rendering knows of each character whether it is the template's own or the caller's.
 */
export interface Source {
  /** Index of the message whose `content` it is; null for any other text of messages, tools and arguments. */
  readonly turn: number | null;
}

/**
 * Characters [start, end) of a text that are a source's characters [from, to), or were made of them (another case,
 * an escape). What no run covers is the template's own.
 */
export interface SourceRun {
  readonly start: number;
  readonly end: number;
  readonly source: Source;
  readonly from: number;
  readonly to: number;
}

const NO_RUNS: readonly SourceRun[] = [];

/** Python's str: counted in code points, held in UTF-16, with its sources. */
export class Str extends PyObject {
  readonly type = "str";
  readonly value: string;
  readonly runs: readonly SourceRun[];
  /** markupsafe's Markup: a text that counts as escaped. */
  readonly is_markup: boolean;
  /** Where each code point begins, and the end; null where each is one unit. */
  #starts: Uint32Array | null | undefined;

  constructor(value: string, runs: readonly SourceRun[] = NO_RUNS, is_markup = false) {
    super();
    this.value = value;
    this.runs = runs;
    this.is_markup = is_markup;
  }

  /** A text that came with the request. */
  static from(value: string, source: Source | null): Str {
    if (source === null || value === "") return new Str(value);
    return new Str(value, [{ start: 0, end: value.length, source, from: 0, to: value.length }]);
  }

  get starts(): Uint32Array | null {
    if (this.#starts === undefined) {
      spendRead(this.value.length);
      this.#starts = codePoints(this.value);
    }
    return this.#starts;
  }

  /** Code points. */
  get length(): number {
    return this.starts === null ? this.value.length : this.starts.length - 1;
  }

  /** Unit where code point `index` of [0, length] begins. */
  unit(index: number): number {
    return this.starts === null ? index : this.starts[index]!;
  }

  /** The code point that begins at a unit (where one does). */
  point(unit: number): number {
    const { starts } = this;
    if (starts === null) return unit;
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (starts[middle]! < unit) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Units [start, end). */
  part(start: number, end: number): Str {
    if (start <= 0 && end >= this.value.length) return this;
    const made = new Str(this.value.slice(start, end), cutRuns(this.runs, start, end), this.is_markup);
    if (this.#starts === null) made.#starts = null;
    return made;
  }

  /** Code points [start, end). */
  points(start: number, end: number): Str {
    return this.part(this.unit(start), this.unit(Math.max(start, end)));
  }

  /** The code point at an index of [0, length). */
  at(index: number): Str {
    return this.points(index, index + 1);
  }

  /** The same text as markup or as plain text. */
  as(is_markup: boolean): Str {
    return this.is_markup === is_markup ? this : new Str(this.value, this.runs, is_markup);
  }

  override truth(): boolean {
    return this.value !== "";
  }

  override size(): number {
    return this.length;
  }

  /** Plain characters, of markup too; from the right they are markup. */
  override *items(): Iterator<Value> {
    for (let i = 0; i < this.length; i++) yield this.at(i).as(false);
  }

  override *reversed(): Iterator<Value> {
    for (let i = this.length - 1; i >= 0; i--) yield this.at(i);
  }

  override has(item: Value): boolean {
    spendRead(this.value.length);
    if (item instanceof Str) return this.value.includes(item.value);
    throw new Fault("TypeError", "'in <string>' requires string as left operand");
  }

  override item(key: Value): Value {
    const index = indexOf(key);
    const at = index < 0 ? index + this.length : index;
    if (at < 0 || at >= this.length) throw new Fault("IndexError", "string index out of range");
    return this.at(at);
  }

  override slice(start: Value, stop: Value, step: Value): Str {
    const range = sliceRange(this.length, start, stop, step);
    if (range.step === 1) return this.points(range.start, range.start + range.count);
    const made = new StrBuilder();
    for (let i = 0, at = range.start; i < range.count; i++, at += range.step) made.add(this.at(at));
    return made.done(this.is_markup);
  }

  override key(): string {
    return textKey(this.value);
  }

  repr(): Str {
    return reprText(this);
  }
}

export const EMPTY = new Str("");

/** Puts a text together, sources included. */
export class StrBuilder {
  #text = "";
  readonly #runs: SourceRun[] = [];

  get length(): number {
    return this.#text.length;
  }

  /** The template's own text. */
  text(text: string): this {
    this.#grow(text);
    return this;
  }

  #grow(text: string): void {
    // A piece costs, however short it is.
    spend(0.2);
    spendText(text.length);
    this.#text += text;
    if (this.#text.length > LONGEST_TEXT) spendText(this.#text.length);
  }

  add(text: Str): this {
    return this.part(text, 0, text.value.length);
  }

  /** Units [start, end) of a text. */
  part(text: Str, start: number, end: number): this {
    const shift = this.#text.length;
    this.#grow(text.value.slice(start, end));
    for (const run of cutRuns(text.runs, start, end)) this.#run(run, shift);
    return this;
  }

  /** What was made of units [start, end) of `from`: theirs, as a whole, when any of them is a source's. */
  made(text: string, from: Str, start = 0, end = from.value.length): this {
    const at = this.#text.length;
    this.#grow(text);
    const runs = cutRuns(from.runs, start, end);
    const first = runs[0];
    if (first !== undefined && text !== "") {
      const last = runs.findLast((run) => run.source === first.source) ?? first;
      this.#run({ ...first, start: at, end: at + text.length, to: last.to }, 0);
    }
    return this;
  }

  /** Text with what matches a pattern (of single characters) made into something else: escapes. */
  replaced(text: Str, pattern: RegExp, made: (char: string) => string): this {
    if (text.runs.length === 0) return this.text(text.value.replace(pattern, made));
    let from = 0;
    for (const { index, 0: char } of text.value.matchAll(pattern)) {
      this.part(text, from, index);
      from = index + char.length;
      this.made(made(char), text, index, from);
    }
    return this.part(text, from, text.value.length);
  }

  #run(run: SourceRun, shift: number): void {
    const last = this.#runs.at(-1);
    const start = run.start + shift;
    if (last?.end === start && last.source === run.source && last.to === run.from) {
      this.#runs[this.#runs.length - 1] = { ...last, end: run.end + shift, to: run.to };
    } else this.#runs.push({ ...run, start, end: run.end + shift });
  }

  done(is_markup = false): Str {
    return new Str(this.#text, this.#runs, is_markup);
  }
}

/** Joins texts. */
export function concat(...texts: Str[]): Str {
  const made = new StrBuilder();
  for (const text of texts) made.add(text);
  return made.done();
}

/** A text made of others by a way too winding to follow: all of it is theirs when any of them is a source's. */
export function madeOf(text: string, ...from: Str[]): Str {
  const tainted = from.find((one) => one.runs.length > 0);
  return tainted === undefined ? new Str(text) : new StrBuilder().made(text, tainted).done();
}

/** Makes each code point into a text; the whole's text is given where contexts matter. */
export function mapPoints(text: Str, whole: string, one: (char: string) => string): Str {
  spendText(whole.length);
  // The same length: character by character, as nearly always.
  if (whole.length === text.value.length) return new Str(whole, text.runs, text.is_markup);
  if (text.runs.length === 0) return new Str(whole, NO_RUNS, text.is_markup);
  const made = new StrBuilder();
  for (let i = 0; i < text.length; i++) {
    const [start, end] = [text.unit(i), text.unit(i + 1)];
    made.made(one(text.value.slice(start, end)), text, start, end);
  }
  return made.done(text.is_markup);
}

/** The runs of units [start, end), which begin at 0 then. */
function cutRuns(runs: readonly SourceRun[], start: number, end: number): readonly SourceRun[] {
  if (start === 0 && end >= (runs.at(-1)?.end ?? 0)) return runs;
  const cut: SourceRun[] = [];
  for (let i = firstRun(runs, start); i < runs.length; i++) {
    const run = itemAt(runs, i);
    if (run.start >= end) break;
    const [first, last] = [Math.max(run.start, start), Math.min(run.end, end)];
    // Copies keep their places in the source; what was made of it keeps its whole stretch.
    const is_copy = run.end - run.start === run.to - run.from;
    const from = is_copy ? run.from + (first - run.start) : run.from;
    const to = is_copy ? run.to - (run.end - last) : run.to;
    cut.push({ start: first - start, end: last - start, source: run.source, from, to });
  }
  return cut;
}

/** Index of the first run that ends after a unit. */
function firstRun(runs: readonly SourceRun[], unit: number): number {
  let [low, high] = [0, runs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (itemAt(runs, middle).end <= unit) low = middle + 1;
    else high = middle;
  }
  return low;
}

function codePoints(text: string): Uint32Array | null {
  if (!/[\ud800-\udbff][\udc00-\udfff]/.test(text)) return null;
  const starts: number[] = [];
  let at = 0;
  for (const char of text) {
    starts.push(at);
    at += char.length;
  }
  starts.push(at);
  return Uint32Array.from(starts);
}

const SHORT: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };
/** What a repr may have to escape. */
const ESCAPED = new RegExp(`${UNPRINTABLE.source}|['"\\\\]`, "gu");

function reprText(text: Str): Str {
  const { value } = text;
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  const made = new StrBuilder().text(text.is_markup ? `Markup(${quote}` : quote);
  made.replaced(text, ESCAPED, (char) => escaped(char, quote));
  return made.text(text.is_markup ? `${quote})` : quote).done();
}

function escaped(char: string, quote: string): string {
  if (char === quote) return `\\${char}`;
  if (SHORT[char] !== undefined) return SHORT[char];
  if (char === "'" || char === '"') return char;
  const code = codePoint(char).toString(16);
  if (code.length <= 2) return `\\x${code.padStart(2, "0")}`;
  return code.length <= 4 ? `\\u${code.padStart(4, "0")}` : `\\U${code.padStart(8, "0")}`;
}
