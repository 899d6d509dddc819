import { lastOf } from "../../../../models/certain.ts";
import { spend } from "../python/budget.ts";
import { valueError } from "../python/errors.ts";
import { strip } from "../python/text/methods.ts";
import { type Str, StrBuilder } from "../python/text/str.ts";
import { WORD_CHAR } from "../python/text/unicode.ts";

/** Python's `textwrap.wrap`, as the filter `wordwrap` uses it: tabs and white space stay. */

export interface WrapOptions {
  width: number;
  break_long_words: boolean;
  break_on_hyphens: boolean;
}

const SPACE = "[\\t\\n\\v\\f\\r ]";
const NO_SPACE = "[^\\t\\n\\v\\f\\r ]";
const PUNCTUATION = `[${WORD_CHAR}!"'&.,?]`;
const LETTER = "[\\p{L}\\p{No}\\p{Nl}_]";
const CHUNKS = new RegExp(
  `(${SPACE}+|(?<=${PUNCTUATION})-{2,}(?=[${WORD_CHAR}])|${NO_SPACE}+?(?:` +
    `-(?:(?<=${LETTER}{2}-)|(?<=${LETTER}-${PUNCTUATION}-))(?=${LETTER}-?${LETTER})` +
    `|(?=${SPACE}|$)|(?<=${PUNCTUATION})(?=-{2,}[${WORD_CHAR}])))`,
  "u",
);
const SPACES = new RegExp(`(${SPACE}+)`, "u");

/** Lines of at most `width` code points, white space at their ends left out. */
export function wrapText(text: Str, options: WrapOptions): Str[] {
  if (options.width <= 0) throw valueError(`invalid width ${options.width} (must be > 0)`);
  const chunks = chunksOf(text, options.break_on_hyphens).reverse();
  const lines: Str[] = [];
  while (chunks.length > 0) {
    if (isBlank(lastOf(chunks)) && lines.length > 0) chunks.pop();
    const line: Str[] = [];
    let length = 0;
    for (let next = chunks.at(-1); next !== undefined; next = chunks.at(-1)) {
      if (length + next.length > options.width) break;
      length += next.length;
      line.push(next);
      chunks.pop();
      spend(0.1);
    }
    spend(1);
    if (chunks.length > 0 && lastOf(chunks).length > options.width) {
      breakLong(chunks, line, options.width - length, options);
      length = line.reduce((sum, chunk) => sum + chunk.length, 0);
    }
    if (line.length > 0 && isBlank(lastOf(line))) line.pop();
    if (line.length > 0) lines.push(line.reduce((made, chunk) => made.add(chunk), new StrBuilder()).done());
  }
  return lines;
}

const isBlank = (chunk: Str) => strip(chunk, "both").value === "";

function chunksOf(text: Str, break_on_hyphens: boolean): Str[] {
  const parts = text.value.split(break_on_hyphens ? CHUNKS : SPACES).filter((part) => part !== "");
  let at = 0;
  return parts.map((part) => {
    spend(1);
    const chunk = text.part(at, at + part.length);
    at += part.length;
    return chunk;
  });
}

/** A chunk that fits into no line: as much of it as fits, or all of it on a line of its own. */
function breakLong(chunks: Str[], line: Str[], left: number, options: WrapOptions): void {
  const chunk = lastOf(chunks);
  if (!options.break_long_words) {
    if (line.length === 0) line.push(...chunks.splice(-1));
    return;
  }
  const space = options.width < 1 ? 1 : left;
  let end = Math.max(0, space);
  if (options.break_on_hyphens && chunk.length > space) {
    const start = chunk.points(0, end);
    const hyphen = start.value.lastIndexOf("-");
    if (hyphen > 0 && /[^-]/.test(start.value.slice(0, hyphen))) end = start.point(hyphen) + 1;
  }
  line.push(chunk.points(0, end));
  chunks[chunks.length - 1] = chunk.points(end, chunk.length);
}
