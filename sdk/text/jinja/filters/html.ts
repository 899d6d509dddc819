import { spend } from "../python/budget.ts";
import { bind, positional } from "../python/calls.ts";
import { Dict, Tuple } from "../python/collections.ts";
import { Fault, typeError, valueError } from "../python/errors.ts";
import { indexOf, typeName, type Value } from "../python/object.ts";
import { each, isIterable, listed, softStr, str, truth } from "../python/protocols.ts";
import { stripTags } from "../python/text/html.ts";
import { escapeHtml } from "../python/text/markup.ts";
import { split } from "../python/text/methods.ts";
import { madeOf, Str, StrBuilder } from "../python/text/str.ts";
import { SPACE } from "../python/text/unicode.ts";
import { Undefined } from "../python/undefined.ts";
import type { Filter } from "./filter.ts";

/** Filters for HTML. */

const escaped: Filter = (value, call) => {
  positional(call, "escape", 0);
  return escapeHtml(value);
};

/** UTF-8 in percent signs, but for what `safe` holds. */
function quoted(value: Value, safe: string): Str {
  const text = str(value);
  spend(text.value.length / 16);
  let made = "";
  for (const byte of new TextEncoder().encode(text.value)) {
    const char = String.fromCharCode(byte);
    made +=
      /[A-Za-z0-9_.~-]/.test(char) || safe.includes(char)
        ? char
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return madeOf(made, text);
}

const urlencode: Filter = (value, call) => {
  bind(call, "urlencode", []);
  if (value instanceof Str || !isIterable(value)) return quoted(value, "/");
  const made = new StrBuilder();
  const pairs =
    value instanceof Dict ? Array.from(value.entries, (entry) => new Tuple(entry)) : listed(value);
  for (const [i, pair] of pairs.entries()) {
    const [key, item, ...rest] = [...each(pair)];
    if (key === undefined || item === undefined || rest.length > 0)
      throw valueError("need pairs of key and value");
    const part = (one: Value) => {
      const text = quoted(one, "");
      return madeOf(text.value.replaceAll("%20", "+"), text);
    };
    made
      .text(i === 0 ? "" : "&")
      .add(part(key))
      .text("=")
      .add(part(item));
  }
  return made.done();
};

const xmlattr: Filter = (value, call, context) => {
  const [space = true] = bind(call, "xmlattr", [], ["autospace"]);
  if (value instanceof Undefined) throw value.undefined_fault;
  if (!(value instanceof Dict))
    throw new Fault("AttributeError", `'${typeName(value)}' object has no attribute 'items'`);
  const made = new StrBuilder();
  for (const [key, item] of value.entries) {
    if (item === null || item instanceof Undefined) continue;
    if (!(key instanceof Str)) throw typeError("expected string or bytes-like object");
    if (/[ \t\n\r\f\v/>=]/.test(key.value)) throw valueError("Invalid character in attribute name");
    made.text(made.length > 0 || truth(space) ? " " : "");
    made.add(escapeHtml(key)).text('="').add(escapeHtml(item)).text('"');
  }
  return made.done(context.autoescape);
};

const HTTP =
  /^((https?:\/\/|www\.)(([\w%-]+\.)+)?([a-z]{2,63}|xn--[\w%]{2,59})|([\w%-]{2,63}\.)+(com|net|int|edu|gov|org|info|mil)|(https?:\/\/)((([\d]{1,3})(\.[\d]{1,3}){3})|(\[([\da-f]{0,4}:){2}([\da-f]{0,4}:?){1,6}\])))(?::[\d]{1,5})?(?:[/?#]\S*)?$/i;
const EMAIL = /^\S+@\w[\w.-]*\.\w+$/;
const SCHEME = /^[\w.+-]{2,}:(\/){0,2}$/;

interface LinkOptions {
  attributes: string;
  trim(url: string): string;
  schemes: readonly string[];
}

/** Punctuation around an address, and what it becomes. */
function linkWord(word: string, options: LinkOptions): string {
  const head = /^(?:[(<]|&lt;)+/.exec(word)?.[0] ?? "";
  let middle = word.slice(head.length);
  let tail = /(?:[)>.,\n]|&gt;)+$/.exec(middle)?.[0] ?? "";
  middle = middle.slice(0, middle.length - tail.length);
  const count = (text: string, sought: string) => text.split(sought).length - 1;
  for (const [open, close] of [
    ["(", ")"],
    ["<", ">"],
    ["&lt;", "&gt;"],
  ] as const) {
    const opened = count(middle, open);
    if (opened <= count(middle, close)) continue;
    for (let i = Math.min(opened, count(tail, close)); i > 0; i--) {
      const end = tail.indexOf(close) + close.length;
      middle += tail.slice(0, end);
      tail = tail.slice(end);
    }
  }
  return head + linked(middle, options) + tail;
}

function linked(middle: string, { attributes, trim, schemes }: LinkOptions): string {
  if (HTTP.test(middle)) {
    const url = /^https?:\/\//.test(middle) ? middle : `https://${middle}`;
    return `<a href="${url}"${attributes}>${trim(middle)}</a>`;
  }
  if (middle.startsWith("mailto:") && EMAIL.test(middle.slice(7)))
    return `<a href="${middle}">${middle.slice(7)}</a>`;
  const is_email =
    middle.includes("@") && !middle.startsWith("www.") && !/^@|:/.test(middle) && EMAIL.test(middle);
  if (is_email) return `<a href="mailto:${middle}">${middle}</a>`;
  let made = middle;
  for (const scheme of schemes) {
    if (made !== scheme && made.startsWith(scheme)) made = `<a href="${made}"${attributes}>${made}</a>`;
  }
  return made;
}

const urlize: Filter = (value, call, context) => {
  const [limit = null, nofollow = false, target = null, rel = null, extra = null] = bind(
    call,
    "urlize",
    [],
    ["trim_url_limit", "nofollow", "target", "rel", "extra_schemes"],
  );
  const parts = new Set(["noopener"]);
  if (truth(rel)) for (const part of split(softStr(rel), null, -1)) parts.add(part.value);
  if (truth(nofollow)) parts.add("nofollow");
  const schemes = extra === null ? [] : listed(extra).map((scheme) => softStr(scheme).value);
  const bad = schemes.find((scheme) => !SCHEME.test(scheme));
  if (bad !== undefined) throw valueError(`'${bad}' is not a valid URI scheme prefix.`);
  const most = limit === null ? null : indexOf(limit);
  const options = {
    attributes:
      ` rel="${escapeHtml(new Str([...parts].sort().join(" "))).value}"` +
      (truth(target) ? ` target="${escapeHtml(target).value}"` : ""),
    trim: (url: string) => (most === null || url.length <= most ? url : `${url.slice(0, most)}...`),
    schemes,
  };
  const text = escapeHtml(value);
  const words = text.value.split(new RegExp(`([${SPACE}]+)`));
  spend(words.length);
  const made = words.map((word) => linkWord(word, options)).join("");
  return madeOf(made, text, str(target), str(rel)).as(context.autoescape);
};

export const HTML_FILTERS: Readonly<Record<string, Filter>> = {
  e: escaped,
  escape: escaped,
  forceescape: (value, call) => {
    bind(call, "forceescape", []);
    return escapeHtml(str(value));
  },
  safe: (value, call) => {
    bind(call, "safe", []);
    return str(value).as(true);
  },
  striptags: (value, call) => {
    bind(call, "striptags", []);
    return stripTags(str(value));
  },
  urlencode,
  urlize,
  xmlattr,
};
