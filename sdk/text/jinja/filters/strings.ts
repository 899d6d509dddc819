import { itemAt } from "../../../../models/certain.ts";
import { spend } from "../python/budget.ts";
import { bind, positional } from "../python/calls.ts";
import { Dict, Tuple } from "../python/collections.ts";
import { Fault, typeError } from "../python/errors.ts";
import { indexOf, int, typeName, type Value } from "../python/object.ts";
import { operate } from "../python/operators.ts";
import { each, length, softStr, str, truth } from "../python/protocols.ts";
import { escapedFor, escapeHtml } from "../python/text/markup.ts";
import * as texts from "../python/text/methods.ts";
import { mapPoints, Str, StrBuilder } from "../python/text/str.ts";
import { SPACE, WORD_CHAR } from "../python/text/unicode.ts";
import { argumentFault, attributeGetter, type Filter, textOf } from "./filter.ts";
import { wrapText } from "./wrap.ts";

/** Filters of texts. */

/** A method of str as a filter of any value's text. */
const ofText =
  (name: string, made: (text: Str) => Str): Filter =>
  (value, call) => {
    bind(call, name, []);
    return made(softStr(value));
  };

/** Words begin after these, to the filter `title` alone. */
const BEGINNINGS = new RegExp(`[-({[<${SPACE}]+`, "g");

const title: Filter = (value, call) => {
  bind(call, "title", []);
  const text = softStr(value);
  const made = new StrBuilder();
  const word = (start: number, end: number) => {
    if (start === end) return;
    const rest = text.part(start, end);
    const first = rest.part(0, rest.unit(1));
    const other = rest.part(first.value.length, rest.value.length);
    made.add(mapPoints(first, first.value.toUpperCase(), (char) => char.toUpperCase()));
    made.add(mapPoints(other, other.value.toLowerCase(), (char) => char.toLowerCase()));
  };
  let from = 0;
  for (const { index, 0: gap } of text.value.matchAll(BEGINNINGS)) {
    word(from, index);
    made.part(text, index, index + gap.length);
    from = index + gap.length;
  }
  word(from, text.value.length);
  return made.done();
};

const trim: Filter = (value, call) => {
  const [chars = null] = bind(call, "trim", [], ["chars"]);
  return texts.strip(softStr(value), "both", chars === null ? undefined : textOf(chars, "chars").value);
};

const replace: Filter = (value, call, { autoescape }) => {
  const [old, replacement, count = null] = bind(call, "replace", ["old", "new"], ["count"]);
  const most = count === null ? -1 : indexOf(count);
  if (!autoescape) return texts.replace(str(value), str(old).value, str(replacement), most);
  const is_markup = (one: Value) => one instanceof Str && one.is_markup;
  const is_escaped = is_markup(old) || (is_markup(replacement) && !is_markup(value));
  const whole = is_escaped ? escapeHtml(value) : softStr(value);
  return texts.replace(whole, softStr(old).value, escapedFor(whole, softStr(replacement)), most);
};

const join: Filter = (value, call, { autoescape }) => {
  const [between = new Str(""), attribute = null] = bind(call, "join", [], ["d", "attribute"]);
  const get = attributeGetter(attribute);
  const items = Array.from(each(value), get);
  if (!autoescape) return texts.join(str(between), items.map(str));
  const is_markup = (one: Value) => one instanceof Str && one.is_markup;
  if (is_markup(between)) return texts.join(softStr(between), items.map(softStr));
  if (!items.some(is_markup)) return texts.join(str(between), items.map(str));
  return texts.join(
    escapeHtml(between),
    items.map((item) => (is_markup(item) ? item : str(item))),
  );
};

const center: Filter = (value, call) => {
  const [width_given = 80n] = bind(call, "center", [], ["width"]);
  return texts.center(softStr(value), new Str(" "), indexOf(width_given));
};

const indent: Filter = (value, call) => {
  const [width = 4n, first = false, blank = false] = bind(call, "indent", [], ["width", "first", "blank"]);
  const space = width instanceof Str ? width : operate("*", new Str(" "), width);
  if (!(space instanceof Str)) throw typeError("an indent must be a text or a number");
  const indention = value instanceof Str && value.is_markup ? space.as(true) : space;
  const whole = operate("+", value, new Str("\n", [], indention.is_markup));
  if (!(whole instanceof Str))
    throw new Fault("AttributeError", `'${typeName(value)}' object has no attribute 'splitlines'`);
  const made = new StrBuilder();
  if (truth(first)) made.add(indention);
  for (const [i, line] of texts.splitLines(whole).entries()) {
    if (i > 0) made.text("\n");
    if (i > 0 && (truth(blank) || line.value !== "")) made.add(escapedFor(whole, indention));
    made.add(line);
  }
  return made.done(whole.is_markup);
};

const truncate: Filter = (value, call) => {
  const [length_given = 255n, killwords = false, end = new Str("..."), leeway_given = null] = bind(
    call,
    "truncate",
    [],
    ["length", "killwords", "end", "leeway"],
  );
  const leeway = leeway_given ?? 5n;
  const most = Number(operate("-", length_given, int(length(end))));
  if (!(most >= 0)) throw new Fault("AssertionError", "expected a length of at least that of the end");
  if (!(Number(operate("+", leeway, 0n)) >= 0))
    throw new Fault("AssertionError", "expected a leeway of at least 0");
  if (length(value) <= Number(operate("+", length_given, leeway))) return value;
  const text = textOf(value, "the value");
  const start = text.slice(null, int(indexOf(operate("-", length_given, int(length(end))))), null);
  const kept = truth(killwords) ? start : itemAt(texts.splitFromRight(start, " ", 1), 0);
  return operate("+", kept, end);
};

const wordwrap: Filter = (value, call) => {
  const [width = 79n, long = true, between = null, hyphens = true] = bind(
    call,
    "wordwrap",
    [],
    ["width", "break_long_words", "wrapstring", "break_on_hyphens"],
  );
  const options = { width: indexOf(width), break_long_words: truth(long), break_on_hyphens: truth(hyphens) };
  const separator = between === null ? new Str("\n") : textOf(between, "wrapstring");
  const lines = texts.splitLines(textOf(value, "the value"));
  return texts.join(
    separator,
    lines.map((line) => texts.join(separator, wrapText(line, options))),
  );
};

const wordcount: Filter = (value, call) => {
  bind(call, "wordcount", []);
  spend(softStr(value).value.length / 64);
  return int(softStr(value).value.match(new RegExp(`[${WORD_CHAR}]+`, "gu"))?.length ?? 0);
};

const format: Filter = (value, { args, named }) => {
  if (args.length > 0 && named.size > 0)
    throw argumentFault("can't handle positional and keyword arguments at the same time");
  const values =
    named.size > 0
      ? new Dict(Array.from(named, ([name, one]) => [new Str(name), one] as const))
      : new Tuple(args);
  return operate("%", softStr(value), values);
};

export const STRING_FILTERS: Readonly<Record<string, Filter>> = {
  capitalize: ofText("capitalize", texts.capitalize),
  center,
  format,
  indent,
  join,
  lower: ofText("lower", (text) => mapPoints(text, text.value.toLowerCase(), (char) => char.toLowerCase())),
  replace,
  string: (value, call) => {
    positional(call, "soft_str", 0);
    return softStr(value);
  },
  title,
  trim,
  truncate,
  upper: ofText("upper", (text) => mapPoints(text, text.value.toUpperCase(), (char) => char.toUpperCase())),
  wordcount,
  wordwrap,
};
