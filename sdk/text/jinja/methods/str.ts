import { bind, positional } from "../python/calls.ts";
import { Dict, List, Tuple } from "../python/collections.ts";
import { Fault, typeError, valueError } from "../python/errors.ts";
import { formatBraces, type Lookup } from "../python/format/braces.ts";
import { type Arguments, indexOf, int, typeName, type Value } from "../python/object.ts";
import { each } from "../python/protocols.ts";
import { escapeHtml } from "../python/text/markup.ts";
import * as texts from "../python/text/methods.ts";
import { mapPoints, Str, StrBuilder } from "../python/text/str.ts";
import * as unicode from "../python/text/unicode.ts";
import { Undefined } from "../python/undefined.ts";

/** What a method is given beside its arguments: how the sandbox looks things up (`str.format`). */
export type StrMethod = (self: Str, call: Arguments, lookup: Lookup) => Value;

function text(value: Value | undefined): Str {
  if (value instanceof Str) return value;
  if (value instanceof Undefined) throw value.undefined_fault;
  throw typeError(`must be str, not ${typeName(value ?? null)}`);
}

/** A text argument, which markup escapes, of whatever kind it is. */
function given(self: Str, value: Value | undefined): Str {
  return self.is_markup ? escapeHtml(value ?? null) : text(value);
}

/** An index argument of find() and its kin: None for the end that it stands for. */
function place(value: Value | undefined, fallback: number, length: number): number {
  if (value === undefined || value === null) return fallback;
  const index = indexOf(value);
  return Math.max(0, index < 0 ? index + length : index);
}

interface Window {
  start: number;
  end: number;
}

/** The code points that find() and its kin look at. */
function windowOf(self: Str, start: Value | undefined, end: Value | undefined): Window {
  const { length } = self;
  return { start: place(start, 0, length), end: Math.min(length, place(end, length, length)) };
}

/** Code point where a text stands, or -1. */
function search(self: Str, call: Arguments, name: string, from: "left" | "right"): number {
  const args = positional(call, name, 1, 3);
  const sought = text(args[0]).value;
  const { start, end } = windowOf(self, args[1], args[2]);
  if (start > end) return -1;
  const whole = self.value.slice(0, self.unit(end));
  const first = self.unit(start);
  const at = from === "left" ? whole.indexOf(sought, first) : whole.lastIndexOf(sought);
  return at < first ? -1 : self.point(at);
}

const finder =
  (name: string, from: "left" | "right"): StrMethod =>
  (self, call) => {
    const at = search(self, call, name, from);
    if (at < 0 && name.endsWith("index")) throw valueError("substring not found");
    return int(at);
  };

/** `startswith` and `endswith`: one text, or any of a tuple. */
const sided =
  (name: string, holds: (window: string, side: string) => boolean): StrMethod =>
  (self, call) => {
    const [sides, start_given, end_given] = positional(call, name, 1, 3);
    const { start, end } = windowOf(self, start_given, end_given);
    const window = start > end ? undefined : self.points(start, end).value;
    const all = sides instanceof Tuple ? sides.values : [sides];
    return all.some((side) => {
      const sought = text(side).value;
      return window !== undefined && holds(window, sought);
    });
  };

const stripped =
  (name: string, side: texts.Side): StrMethod =>
  (self, call) => {
    const [chars = null] = positional(call, name, 0, 1);
    return texts.strip(self, side, chars === null ? undefined : text(chars).value);
  };

const splitter =
  (name: string, split: (self: Str, separator: string | null, most: number) => Str[]): StrMethod =>
  (self, call) => {
    const [separator = null, most = -1n] = bind(call, name, [], ["sep", "maxsplit"]);
    return new List(split(self, separator === null ? null : text(separator).value, indexOf(most)));
  };

const parted =
  (name: string, from: "left" | "right"): StrMethod =>
  (self, call) => {
    const separator = text(positional(call, name, 1)[0]);
    if (separator.value === "") throw valueError("empty separator");
    const at =
      from === "left" ? self.value.indexOf(separator.value) : self.value.lastIndexOf(separator.value);
    const nothing = new Str("", [], self.is_markup);
    if (at < 0) return new Tuple(from === "left" ? [self, nothing, nothing] : [nothing, nothing, self]);
    const end = at + separator.value.length;
    return new Tuple([self.part(0, at), self.part(at, end), self.part(end, self.value.length)]);
  };

/** `center`, `ljust`, `rjust` */
const aligned =
  (name: string, made: (self: Str, fill: Str, width: number) => Str): StrMethod =>
  (self, call) => {
    const [width_given, fill_given = new Str(" ")] = positional(call, name, 1, 2);
    const width = indexOf(width_given);
    const fill = given(self, fill_given);
    if (fill.length !== 1) throw typeError("The fill character must be exactly one character long");
    return made(self, fill, width);
  };

const mapped =
  (name: string, whole: (value: string) => string): StrMethod =>
  (self, call) => {
    positional(call, name, 0);
    return mapPoints(self, whole(self.value), whole);
  };

const asks =
  (name: string, holds: (value: string) => boolean): StrMethod =>
  (self, call) => {
    positional(call, name, 0);
    return holds(self.value);
  };

const removed =
  (
    name: string,
    holds: (value: string, affix: string) => boolean,
    rest: (self: Str, size: number) => Str,
  ): StrMethod =>
  (self, call) => {
    const affix = text(positional(call, name, 1)[0]).value;
    return affix !== "" && holds(self.value, affix) ? rest(self, affix.length) : self;
  };

export const STR_METHODS: Readonly<Record<string, StrMethod>> = {
  upper: mapped("upper", (value) => value.toUpperCase()),
  lower: mapped("lower", (value) => value.toLowerCase()),
  swapcase: mapped("swapcase", texts.swapCase),
  casefold: mapped("casefold", texts.caseFold),
  capitalize: (self, call) => {
    positional(call, "capitalize", 0);
    return texts.capitalize(self);
  },
  title: (self, call) => {
    positional(call, "title", 0);
    return texts.title(self);
  },
  strip: stripped("strip", "both"),
  lstrip: stripped("lstrip", "left"),
  rstrip: stripped("rstrip", "right"),
  split: splitter("split", texts.split),
  rsplit: splitter("rsplit", texts.splitFromRight),
  splitlines: (self, call) => {
    const [keep = false] = bind(call, "splitlines", [], ["keepends"]);
    return new List(texts.splitLines(self, indexOf(keep) !== 0));
  },
  partition: parted("partition", "left"),
  rpartition: parted("rpartition", "right"),
  replace: (self, call) => {
    const [old, replacement, most = -1n] = positional(call, "replace", 2, 3);
    return texts.replace(self, text(old).value, given(self, replacement), indexOf(most));
  },
  join: (self, call) => texts.join(self, [...each(positional(call, "join", 1)[0])]),
  find: finder("find", "left"),
  rfind: finder("rfind", "right"),
  index: finder("index", "left"),
  rindex: finder("rindex", "right"),
  count: (self, call) => {
    const args = positional(call, "count", 1, 3);
    const sought = text(args[0]).value;
    const { start, end } = windowOf(self, args[1], args[2]);
    if (start > end) return 0n;
    if (sought === "") return int(end - start + 1);
    return int(self.points(start, end).value.split(sought).length - 1);
  },
  startswith: sided("startswith", (window, side) => window.startsWith(side)),
  endswith: sided("endswith", (window, side) => window.endsWith(side)),
  removeprefix: removed(
    "removeprefix",
    (value, affix) => value.startsWith(affix),
    (self, size) => self.part(size, self.value.length),
  ),
  removesuffix: removed(
    "removesuffix",
    (value, affix) => value.endsWith(affix),
    (self, size) => self.part(0, self.value.length - size),
  ),
  center: aligned("center", texts.center),
  ljust: aligned("ljust", (self, fill, width) => texts.pad(self, fill, 0, width)),
  rjust: aligned("rjust", (self, fill, width) =>
    texts.pad(self, fill, Math.max(0, width - self.length), width),
  ),
  zfill: (self, call) => {
    const width = indexOf(positional(call, "zfill", 1)[0]);
    const sign = /^[+-]/.test(self.value) ? 1 : 0;
    const missing = Math.max(0, width - self.length);
    const filled = texts.pad(self.part(sign, self.value.length), new Str("0"), missing, width - sign);
    return new StrBuilder().part(self, 0, sign).add(filled).done(self.is_markup);
  },
  expandtabs: (self, call) => {
    const [size = 8n] = bind(call, "expandtabs", [], ["tabsize"]);
    return texts.expandTabs(self, indexOf(size));
  },
  translate: (self, call) => {
    const [table] = positional(call, "translate", 1);
    if (!(table instanceof Dict)) throw typeError(`'${typeName(table)}' object is no table of characters`);
    return texts.translate(self, table);
  },
  format: (self, call, lookup) => formatBraces(self, call, lookup),
  format_map: (self, call, lookup) => {
    const [table] = positional(call, "format_map", 1);
    if (!(table instanceof Dict)) throw typeError("format_map() needs a mapping");
    const named = new Map<string, Value>();
    for (const [key, value] of table.entries) if (key instanceof Str) named.set(key.value, value);
    return formatBraces(self, { args: [], named }, lookup);
  },
  isalnum: asks("isalnum", (value) => unicode.ALPHANUMERICS.test(value)),
  isalpha: asks("isalpha", (value) => unicode.LETTERS.test(value)),
  isascii: asks("isascii", (value) => !/[^\0-\x7f]/.test(value)),
  isdecimal: asks("isdecimal", (value) => unicode.DECIMALS.test(value)),
  isdigit: asks("isdigit", (value) => unicode.DIGITS.test(value)),
  isnumeric: asks("isnumeric", (value) => unicode.NUMERICS.test(value)),
  isidentifier: asks("isidentifier", (value) => unicode.IDENTIFIER.test(value)),
  isprintable: asks("isprintable", (value) => !unicode.UNPRINTABLE.test(value)),
  isspace: asks("isspace", (value) => value !== "" && Array.from(value).every(unicode.isSpace)),
  islower: asks("islower", texts.isLower),
  isupper: asks("isupper", texts.isUpper),
  istitle: asks("istitle", texts.isTitle),
  encode: () => {
    throw new Fault("TypeError", "bytes are beyond this runtime");
  },
};
