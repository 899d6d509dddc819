import { Fault, valueError } from "../errors.ts";
import type { Arguments, Value } from "../object.ts";
import { repr, str } from "../protocols.ts";
import { escapeHtml } from "../text/markup.ts";
import { madeOf, Str, StrBuilder } from "../text/str.ts";
import { ascii } from "./percent.ts";
import { formatValue } from "./spec.ts";

/** How a format looks up `{a.b}` and `{a[b]}`: as the sandbox does. */
export interface Lookup {
  attribute(object: Value, name: string): Value;
  item(object: Value, key: Value): Value;
}

/** Python's `format.format(*args, **named)`, in jinja2's sandbox. */
export function formatBraces(format: Str, call: Arguments, lookup: Lookup): Str {
  return new Formatter(call, lookup, format.is_markup).format(format, 2).as(format.is_markup);
}

class Formatter {
  readonly #call: Arguments;
  readonly #lookup: Lookup;
  readonly #is_markup: boolean;
  /** The next field's number while fields have none; null once one had. */
  #next: number | null | undefined = undefined;

  constructor(call: Arguments, lookup: Lookup, is_markup: boolean) {
    this.#call = call;
    this.#lookup = lookup;
    this.#is_markup = is_markup;
  }

  format(format: Str, depth: number): Str {
    if (depth < 0) throw valueError("Max string recursion exceeded");
    const { value } = format;
    const made = new StrBuilder();
    let from = 0;
    for (let at = 0; at < value.length; ) {
      const char = value[at]!;
      if (char !== "{" && char !== "}") {
        at++;
        continue;
      }
      made.part(format, from, at);
      if (value[at + 1] === char) {
        made.part(format, at, at + 1);
        from = at += 2;
        continue;
      }
      if (char === "}") throw valueError("Single '}' encountered in format string");
      const end = closing(value, at + 1);
      made.add(this.#field(format.part(at + 1, end), depth));
      from = at = end + 1;
    }
    return made.part(format, from, value.length).done();
  }

  /** `name!conversion:spec` */
  #field(field: Str, depth: number): Str {
    const { value } = field;
    const end = nameEnd(value);
    const name = value.slice(0, end);
    let at = end;
    let conversion = "";
    if (value[at] === "!") {
      conversion = value.slice(at + 1, at + 2);
      at += 2;
      if (conversion === "") throw valueError("end of string while looking for conversion specifier");
      if (at < value.length && value[at] !== ":") throw valueError("expected ':' after conversion specifier");
    }
    const spec = at < value.length ? field.part(at + 1, value.length) : new Str("");
    const found = this.#value(name);
    const converted = convert(found, conversion);
    const made = this.format(spec, depth - 1);
    const text = this.#is_markup ? formatMarkup(converted, made.value) : formatValue(converted, made.value);
    // What fills the field up may be the request's.
    return made.runs.length === 0 ? text : madeOf(text.value, made);
  }

  #value(name: string): Value {
    const match = /^[^.[]*/.exec(name)![0];
    let value = this.#first(match);
    let rest = name.slice(match.length);
    while (rest !== "") {
      const step = /^(?:\.([^.[]+)|\[([^\]]+)\])/.exec(rest);
      if (step === null) throw valueError("Empty attribute in format string");
      rest = rest.slice(step[0].length);
      const [, attribute, item] = step;
      if (item !== undefined && rest !== "" && !/^[.[]/.test(rest))
        throw valueError("Only '.' or '[' may follow ']' in format field specifier");
      if (attribute !== undefined) value = this.#lookup.attribute(value, attribute);
      if (item !== undefined) value = this.#lookup.item(value, keyOf(item));
    }
    return value;
  }

  #first(name: string): Value {
    const is_number = /^\d+$/.test(name);
    if (name === "" || is_number) {
      const is_automatic = name === "";
      if (is_automatic ? this.#next === null : typeof this.#next === "number")
        throw valueError("cannot switch between manual field specification and automatic field numbering");
      const index = is_automatic ? (this.#next ?? 0) : Number(name);
      this.#next = is_automatic ? index + 1 : null;
      const found = this.#call.args[index];
      if (found === undefined)
        throw new Fault("IndexError", "Replacement index out of range for positional args");
      return found;
    }
    const found = this.#call.named.get(name);
    if (found === undefined) throw new Fault("KeyError", `no argument named '${name}'`);
    return found;
  }
}

function convert(value: Value, conversion: string): Value {
  switch (conversion) {
    case "":
      return value;
    case "s":
      return str(value);
    case "r":
      return repr(value);
    case "a":
      return ascii(repr(value));
    default:
      throw valueError(`Unknown conversion specifier ${conversion}`);
  }
}

function formatMarkup(value: Value, spec: string): Str {
  if (value instanceof Str && value.is_markup) {
    if (spec !== "") throw valueError("Unsupported format specification for Markup.");
    return value.as(false);
  }
  return escapeHtml(formatValue(value, spec)).as(false);
}

/** Digits are a number, all else a text. */
function keyOf(text: string): Value {
  return /^\d+$/.test(text) ? BigInt(text) : new Str(text);
}

/** Where a field's name ends: at a `!` or `:` outside of brackets. */
function nameEnd(field: string): number {
  let is_in_brackets = false;
  for (let i = 0; i < field.length; i++) {
    const char = field[i]!;
    if (char === "[") is_in_brackets = true;
    else if (char === "]") is_in_brackets = false;
    else if (char === "{") throw valueError("unexpected '{' in field name");
    else if (!is_in_brackets && (char === "!" || char === ":")) return i;
  }
  return field.length;
}

/** Where the field that begins at `start` is closed. */
function closing(text: string, start: number): number {
  let open = 1;
  for (let i = start; i < text.length; i++) {
    if (text[i] === "{") open++;
    else if (text[i] === "}" && --open === 0) return i;
  }
  throw valueError(
    start >= text.length ? "Single '{' encountered in format string" : "expected '}' before end of string",
  );
}
