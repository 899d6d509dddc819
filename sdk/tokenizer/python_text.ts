/** Methods and filters of Python's `str` that templates call and the library lacks or computes otherwise. */

/** What Python's `str.strip()` and `str.split()` take for whitespace. */
const PYTHON_SPACE =
  "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a" +
  "\u2028\u2029\u202f\u205f\u3000";
const SPACES = new RegExp(`[${PYTHON_SPACE}]+`);

/** `strip` (both), `lstrip` (left), `rstrip` (right). */
export function strip(text: string, side: "both" | "left" | "right", chars?: string): string {
  const stripped = new Set(chars ?? PYTHON_SPACE);
  // By code points: a strip set may hold an emoji.
  const points = Array.from(text);
  let start = 0;
  let end = points.length;
  if (side !== "right") while (start < end && stripped.has(points[start]!)) start++;
  if (side !== "left") while (end > start && stripped.has(points[end - 1]!)) end--;
  return points.slice(start, end).join("");
}

/** `text.split()`, `text.split(sep, maxsplit)`. */
export function split(text: string, separator: string | null, most: number): string[] {
  if (separator === "") throw new Error("empty separator");
  if (separator === null) {
    const parts: string[] = [];
    let rest = strip(text, "left");
    while (rest !== "") {
      const gap = parts.length === most && most >= 0 ? null : SPACES.exec(rest);
      parts.push(gap === null ? rest : rest.slice(0, gap.index));
      rest = gap === null ? "" : rest.slice(gap.index + gap[0].length);
    }
    return parts;
  }
  const parts = text.split(separator);
  return most < 0 || parts.length <= most
    ? parts
    : [...parts.slice(0, most), parts.slice(most).join(separator)];
}

/** `text.rsplit(sep, maxsplit)` with a separator. */
export function splitFromRight(text: string, separator: string, most: number): string[] {
  const parts = split(text, separator, -1);
  const first = most < 0 ? 0 : parts.length - most - 1;
  return first <= 0 ? parts : [parts.slice(0, first + 1).join(separator), ...parts.slice(first + 1)];
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they end lines in Python
const LINE_END = /\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]/;

export function splitLines(text: string): string[] {
  const lines = text.split(LINE_END);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** `text.replace(old, new, count)`; by code points, as Python finds them. */
export function replace(text: string, old: string, with_: string, most: number): string {
  if (most === 0) return text;
  if (old !== "") return most < 0 ? text.split(old).join(with_) : split(text, old, most).join(with_);
  const points = Array.from(text);
  const count = most < 0 ? points.length + 1 : most;
  let made = "";
  for (const [i, point] of points.entries()) made += (i < count ? with_ : "") + point;
  return made + (points.length < count ? with_ : "");
}

/** `text.capitalize()`. */
export function capitalize(text: string): string {
  const [first = "", ...rest] = Array.from(text);
  return titleCase(first) + rest.join("").toLowerCase();
}

/** Unicode's title case of a character: that of its upper case, but for the few that have one of their own. */
function titleCase(char: string): string {
  // Georgian letters have upper case, but no words that begin with it.
  if (/[\p{Lt}\u10d0-\u10ff]/u.test(char)) return char;
  const own = OWN_TITLES.get(char);
  if (own !== undefined) return own;
  const [first = "", ...rest] = Array.from(char.toUpperCase());
  return first + rest.join("").toLowerCase();
}

/** The letters of category Lt, by what becomes them: their lower case, and for digraphs their upper case too. */
const OWN_TITLES = new Map<string, string>();
for (const digraph of ["\u01c5", "\u01c8", "\u01cb", "\u01f2"]) {
  OWN_TITLES.set(digraph.toLowerCase(), digraph).set(digraph.toUpperCase(), digraph);
}
for (const start of [0x1f88, 0x1f98, 0x1fa8, 0x1fbc, 0x1fcc, 0x1ffc]) {
  for (let code = start; code < start + (start < 0x1fb0 ? 8 : 1); code++) {
    const letter = String.fromCharCode(code);
    OWN_TITLES.set(letter.toLowerCase(), letter);
  }
}

/** `text.title()`: a letter after none is upper case, the others lower. */
export function title(text: string): string {
  return text.replace(/\p{Cased}+/gu, (word) => capitalize(word));
}

/** Jinja's filter `title`: words begin after spaces, hyphens and brackets. */
export function titleFilter(text: string): string {
  return text
    .split(/([-\s({[<]+)/)
    .map((part) => capitalize(part))
    .join("");
}

/** How many code points a text has: Python's `len`. */
export function length(text: string): number {
  let count = text.length;
  for (let i = 0; i + 1 < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0xd800 && code < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) count--;
  }
  return count;
}

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = "January February March April May June July August September October November December".split(
  " ",
);

/** Python's strftime in the C locale. Fields that it does not know stay as they are. */
export function strftime(date: Date, format: string): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const day = DAYS[date.getDay()]!;
  const month = MONTHS[date.getMonth()]!;
  const year = String(date.getFullYear());
  const yearday =
    Math.round(
      (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 1)) /
        864e5,
    ) + 1;
  const fields: Record<string, string> = {
    Y: year,
    y: two(date.getFullYear() % 100),
    m: two(date.getMonth() + 1),
    d: two(date.getDate()),
    e: String(date.getDate()).padStart(2, " "),
    j: String(yearday).padStart(3, "0"),
    B: month,
    b: month.slice(0, 3),
    h: month.slice(0, 3),
    A: day,
    a: day.slice(0, 3),
    w: String(date.getDay()),
    u: String(date.getDay() || 7),
    H: two(date.getHours()),
    I: two(date.getHours() % 12 || 12),
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
    f: String(date.getMilliseconds() * 1000).padStart(6, "0"),
    p: date.getHours() < 12 ? "AM" : "PM",
    F: `${year}-${two(date.getMonth() + 1)}-${two(date.getDate())}`,
    T: `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`,
    R: `${two(date.getHours())}:${two(date.getMinutes())}`,
    D: `${two(date.getMonth() + 1)}/${two(date.getDate())}/${two(date.getFullYear() % 100)}`,
    n: "\n",
    t: "\t",
    "%": "%",
  };
  // Python's `-` drops the padding: %-d.
  return format.replace(/%(-?)([a-zA-Z%])/g, (whole, bare: string, name: string) => {
    const field = fields[name];
    if (field === undefined) return whole;
    return bare === "" ? field : field.replace(/^[0 ]+(?=.)/, "");
  });
}
