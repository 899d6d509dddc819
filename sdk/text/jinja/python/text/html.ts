import { split } from "./methods.ts";
import { madeOf, type Str, StrBuilder } from "./str.ts";

/** Of HTML, what markup's own methods take away. */

const NAMED = new Map<string, string>(
  Object.entries({
    amp: "&",
    lt: "<",
    gt: ">",
    quot: '"',
    apos: "'",
    nbsp: "\xa0",
    copy: "\xa9",
    raquo: "\xbb",
    laquo: "\xab",
    hellip: "\u2026",
    mdash: "\u2014",
    ndash: "\u2013",
  }),
);

/** Python's `html.unescape`, of the entities above and by number. */
export function unescapeHtml(text: Str): Str {
  const made = text.value.replace(/&(?:#(\d+|[xX][\da-fA-F]+);?|([a-zA-Z]+);)/g, (whole, number, name) => {
    if (name !== undefined) return NAMED.get(name) ?? whole;
    const code = Number(/^x/i.test(number) ? `0${number}` : number);
    const is_character = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000);
    return is_character ? String.fromCodePoint(code) : "\ufffd";
  });
  return madeOf(made, text);
}

/** markupsafe's striptags: tags and comments go, white space becomes single spaces, entities characters. */
export function stripTags(text: Str): Str {
  const { value } = text;
  const kept = new StrBuilder();
  let from = 0;
  for (let start = value.indexOf("<"); start >= 0; start = value.indexOf("<", from)) {
    const is_comment = value.startsWith("<!--", start);
    const mark = is_comment ? "-->" : ">";
    const end = value.indexOf(mark, is_comment ? start + 4 : start);
    if (end < 0) break;
    kept.part(text, from, start);
    from = end + mark.length;
  }
  kept.part(text, from, value.length);
  const spaced = new StrBuilder();
  for (const [i, word] of split(kept.done(), null, -1).entries()) spaced.text(i === 0 ? "" : " ").add(word);
  return unescapeHtml(spaced.done());
}
