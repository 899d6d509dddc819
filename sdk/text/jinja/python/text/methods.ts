import { checkList, spend, spendText } from "../budget.ts";
import type { Dict } from "../collections.ts";
import { typeError, valueError } from "../errors.ts";
import { indexOf, integerOf, typeName, type Value } from "../object.ts";
import { escapeHtml } from "./markup.ts";
import { mapPoints, Str, StrBuilder } from "./str.ts";
import { codePoint, isSpace, LINE_END, SPACES, titleCase } from "./unicode.ts";

/** What Python's methods of str do. */

export type Side = "both" | "left" | "right";

/** `strip` (both), `lstrip` (left), `rstrip` (right). */
export function strip(text: Str, side: Side, chars?: string): Str {
  const set = chars === undefined ? undefined : new Set(chars);
  const is_stripped = (char: string) => (set === undefined ? isSpace(char) : set.has(char));
  const { value } = text;
  // By code points: a strip set may hold an emoji.
  let [start, end] = [0, value.length];
  while (side !== "right" && start < end) {
    const char = String.fromCodePoint(codePoint(value, start));
    if (!is_stripped(char)) break;
    start += char.length;
  }
  while (side !== "left" && end > start) {
    const is_pair = end - start >= 2 && codePoint(value, end - 2) > 0xffff;
    const char = value.slice(end - (is_pair ? 2 : 1), end);
    if (!is_stripped(char)) break;
    end -= char.length;
  }
  spend((start + value.length - end) / 64);
  return text.part(start, end);
}

function push(parts: Str[], part: Str): void {
  parts.push(part);
  spend(0.2);
  checkList(parts.length);
}

/** `split(sep, maxsplit)`, null for runs of white space. */
export function split(text: Str, separator: string | null, most: number): Str[] {
  if (separator === "") throw valueError("empty separator");
  if (separator === null) return splitAtSpaces(text, most);
  const { value } = text;
  const parts: Str[] = [];
  let from = 0;
  for (let at = value.indexOf(separator); at >= 0; at = value.indexOf(separator, from)) {
    if (most >= 0 && parts.length >= most) break;
    push(parts, text.part(from, at));
    from = at + separator.length;
  }
  parts.push(text.part(from, value.length));
  return parts;
}

function splitAtSpaces(text: Str, most: number): Str[] {
  const { value } = text;
  const parts: Str[] = [];
  let from = value.length - strip(text, "left").value.length;
  const gap = new RegExp(SPACES.source, "g");
  while (from < value.length) {
    gap.lastIndex = from;
    const found = most >= 0 && parts.length >= most ? null : gap.exec(value);
    push(parts, text.part(from, found?.index ?? value.length));
    from = found === null ? value.length : found.index + found[0].length;
  }
  return parts;
}

/** `rsplit(sep, maxsplit)` */
export function splitFromRight(text: Str, separator: string | null, most: number): Str[] {
  if (separator === null) return splitAtSpacesFromRight(text, most);
  if (separator === "") throw valueError("empty separator");
  const { value } = text;
  const parts: Str[] = [];
  let end = value.length;
  while (most < 0 || parts.length < most) {
    const at = end < separator.length ? -1 : value.lastIndexOf(separator, end - separator.length);
    if (at < 0) break;
    push(parts, text.part(at + separator.length, end));
    end = at;
  }
  parts.push(text.part(0, end));
  return parts.reverse();
}

function splitAtSpacesFromRight(text: Str, most: number): Str[] {
  const { value } = text;
  const parts: Str[] = [];
  let end = strip(text, "right").value.length;
  while (end > 0) {
    let start = end;
    if (most >= 0 && parts.length >= most) start = 0;
    else while (start > 0 && !isSpace(value[start - 1])) start--;
    push(parts, text.part(start, end));
    end = start;
    while (end > 0 && isSpace(value[end - 1])) end--;
  }
  return parts.reverse();
}

export function splitLines(text: Str, keep_ends = false): Str[] {
  const lines: Str[] = [];
  let from = 0;
  for (const { index, 0: end } of text.value.matchAll(new RegExp(LINE_END.source, "g"))) {
    push(lines, text.part(from, keep_ends ? index + end.length : index));
    from = index + end.length;
  }
  if (from < text.value.length) lines.push(text.part(from, text.value.length));
  return lines;
}

/** `replace(old, new, count)`; nothing is found between all code points. */
export function replace(text: Str, old: string, replacement: Str, most: number): Str {
  const { value } = text;
  const places = placesOf(text, old, most);
  if (places.length === 0) return text;
  spendText(value.length + places.length * (replacement.value.length - old.length));
  const is_plain =
    text.runs.length === 0 &&
    replacement.runs.length === 0 &&
    places.length === placesOf(text, old, -1).length;
  if (is_plain && old !== "")
    return new Str(
      value.replaceAll(old, () => replacement.value),
      [],
      text.is_markup,
    );
  const made = new StrBuilder();
  let from = 0;
  for (const at of places) {
    made.part(text, from, at).add(replacement);
    from = at + old.length;
  }
  return made.part(text, from, value.length).done(text.is_markup);
}

function placesOf(text: Str, old: string, most: number): number[] {
  const places: number[] = [];
  const { value } = text;
  const next = (last: number | undefined) => {
    if (old !== "") return value.indexOf(old, last === undefined ? 0 : last + old.length);
    return places.length > text.length ? -1 : text.unit(places.length);
  };
  for (let at = next(undefined); at >= 0 && (most < 0 || places.length < most); at = next(at)) {
    places.push(at);
    spend(0.05);
  }
  return places;
}

/** `separator.join(items)`; markup takes items of any kind. */
export function join(separator: Str, items: readonly Value[]): Str {
  const made = new StrBuilder();
  for (const [i, item] of items.entries()) {
    if (i > 0) made.add(separator);
    if (separator.is_markup) made.add(escapeHtml(item));
    else if (item instanceof Str) made.add(item);
    else throw typeError(`sequence item ${i}: expected str instance, ${typeName(item)} found`);
  }
  return made.done(separator.is_markup);
}

/** A text with so many fillings before it, and behind it up to a width. */
export function pad(text: Str, fill: Str, before: number, width: number): Str {
  const missing = Math.max(0, width - text.length);
  if (missing === 0) return text;
  spendText(missing);
  return new StrBuilder()
    .made(fill.value.repeat(before), fill)
    .add(text)
    .made(fill.value.repeat(missing - before), fill)
    .done(text.is_markup);
}

/** `center(width, fill)` */
export function center(text: Str, fill: Str, width: number): Str {
  const missing = Math.max(0, width - text.length);
  return pad(text, fill, (missing >> 1) + (missing & width & 1), width);
}

export function swapCase(value: string): string {
  spend(value.length / 8);
  let at = 0;
  return Array.from(value, (char) => {
    at += char.length;
    if (/\p{Lowercase}/u.test(char)) return char.toUpperCase();
    if (!/\p{Uppercase}/u.test(char)) return char;
    return char === "\u03a3" && endsWord(value, at) ? "\u03c2" : char.toLowerCase();
  }).join("");
}

/** Whether the letter before a place ends its word: a sigma has a form of its own there. */
function endsWord(value: string, at: number): boolean {
  const is_ignored = (char: string | undefined) => char !== undefined && /\p{Case_Ignorable}/u.test(char);
  const is_cased = (char: string | undefined) => char !== undefined && /\p{Cased}/u.test(char);
  let [before, after] = [at - 2, at];
  while (is_ignored(value[before])) before--;
  while (is_ignored(value[after])) after++;
  return is_cased(value[before]) && !is_cased(value[after]);
}

/** Unicode's full case folding, but for characters that no text here has. */
export function caseFold(value: string): string {
  if (value.length > 1) spend(value.length / 16);
  const one = (char: string) => {
    if (char === "\u0131") return char;
    if (char === "\u1e9e") return "ss";
    // Cherokee folds to upper case.
    if (/[\u13a0-\u13fd\uab70-\uabbf]/.test(char)) return char.toUpperCase();
    return char.toUpperCase().toLowerCase();
  };
  return Array.from(value, one).join("");
}

/** `capitalize()`: the first character in title case. */
export function capitalize(text: Str): Str {
  const first = text.part(0, text.unit(Math.min(1, text.length)));
  const lower = text.value.toLowerCase().slice(first.value.toLowerCase().length);
  return new StrBuilder()
    .made(titleCase(first.value), first)
    .add(mapPoints(text.part(first.value.length, text.value.length), lower, (char) => char.toLowerCase()))
    .done(text.is_markup);
}

/** `title()`: a letter after none is in title case, the others lower. */
export function title(text: Str): Str {
  const made = new StrBuilder();
  let from = 0;
  for (const { index, 0: word } of text.value.matchAll(/[\p{Lowercase}\p{Uppercase}\p{Lt}]+/gu)) {
    made.part(text, from, index).add(capitalize(text.part(index, index + word.length)));
    from = index + word.length;
  }
  return made.part(text, from, text.value.length).done(text.is_markup);
}

export const isLower = (value: string): boolean =>
  /\p{Lowercase}/u.test(value) && !/[\p{Uppercase}\p{Lt}]/u.test(value);
export const isUpper = (value: string): boolean =>
  /\p{Uppercase}/u.test(value) && !/[\p{Lowercase}\p{Lt}]/u.test(value);

export function isTitle(value: string): boolean {
  spend(value.length / 32);
  const words = value.match(/[\p{Lowercase}\p{Uppercase}\p{Lt}]+/gu) ?? [];
  return words.length > 0 && words.every((word) => /^[\p{Uppercase}\p{Lt}]\p{Lowercase}*$/u.test(word));
}

export function expandTabs(text: Str, size: number): Str {
  const made = new StrBuilder();
  let column = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text.at(i);
    if (char.value === "\t") {
      const width = size > 0 ? size - (column % size) : 0;
      spendText(width);
      made.made(" ".repeat(width), char);
      column += width;
    } else {
      made.add(char);
      column = char.value === "\n" || char.value === "\r" ? 0 : column + 1;
    }
  }
  return made.done(text.is_markup);
}

/** `translate(table)`: characters by their number, as a number, a text or None. */
export function translate(text: Str, table: Dict): Str {
  const made = new StrBuilder();
  for (let i = 0; i < text.length; i++) {
    const char = text.at(i);
    const found = table.get(BigInt(codePoint(char.value)));
    if (found === undefined) made.add(char);
    else if (found instanceof Str) made.add(found);
    else if (integerOf(found) !== undefined) made.text(String.fromCodePoint(indexOf(found)));
    else if (found !== null) throw typeError("character mapping must return integer, None or str");
  }
  return made.done(text.is_markup);
}
