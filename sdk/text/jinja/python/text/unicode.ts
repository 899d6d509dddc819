import { present } from "../../../../../models/certain.ts";
/** What Python's `str` knows of characters. */

/** White space to `strip`, `split`, `isspace` and the pattern `\s`: not quite JavaScript's. */
export const SPACE =
  "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a" +
  "\u2028\u2029\u202f\u205f\u3000";
export const SPACES = new RegExp(`[${SPACE}]+`);
const SPACE_SET = new Set(SPACE);
export const isSpace = (char: string | undefined): boolean => char !== undefined && SPACE_SET.has(char);

/** What ends a line to `splitlines`. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they end lines in Python
export const LINE_END = /\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]/;

/** What `repr` escapes, and `isprintable` denies. */
export const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;

/** Numeric_Type=Digit beyond Nd, which no property of JavaScript tells: superscripts, circled and other digits. */
const OTHER_DIGITS =
  "\xb2\xb3\xb9\u1369-\u1371\u19da\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468\u2474-\u247c\u2488-\u2490\u24ea" +
  "\u24f5-\u24fd\u24ff\u2776-\u277e\u2780-\u2788\u278a-\u2792\u{10a40}-\u{10a43}\u{10e60}-\u{10e68}" +
  "\u{11052}-\u{1105a}\u{1f100}-\u{1f10a}";
/** Letters with a Numeric_Value. */
const NUMERIC_LETTERS =
  "\u3405\u3483\u382a\u3b4d\u4e00\u4e03\u4e07\u4e09\u4e24\u4e5d\u4e8c\u4e94\u4e96\u4ebf\u4ec0\u4edf\u4ee8\u4f0d\u4f70" +
  "\u4fe9\u5006\u5104\u5146\u5169\u516b\u516d\u5341\u5343\u5344\u5345\u534c\u53c1\u53c2\u53c3\u53c4\u56db\u58f1\u58f9" +
  "\u5e7a\u5efe\u5eff\u5f0c\u5f0d\u5f0e\u5f10\u62d0\u62fe\u634c\u67d2\u6d1e\u6f06\u7396\u767e\u7695\u79ed\u8086\u842c" +
  "\u8cae\u8cb3\u8d30\u920e\u94a9\u9621\u9646\u964c\u9678\u96f6";

export const DIGITS = new RegExp(`^[\\p{Nd}${OTHER_DIGITS}]+$`, "u");
export const DECIMALS = /^\p{Nd}+$/u;
export const NUMERICS = new RegExp(`^[\\p{N}${NUMERIC_LETTERS}]+$`, "u");
export const LETTERS = /^\p{L}+$/u;
export const ALPHANUMERICS = /^[\p{L}\p{N}]+$/u;
export const IDENTIFIER = /^[\p{XID_Start}_]\p{XID_Continue}*$/u;
/** What the pattern `\w` matches. */
export const WORD_CHAR = "\\p{L}\\p{N}_";

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

/** Title case of a character: that of its upper case, but for the few that have one of their own. */
export function titleCase(char: string): string {
  // Georgian letters have upper case, but no words that begin with it.
  if (/[\p{Lt}\u10d0-\u10ff]/u.test(char)) return char;
  const own = OWN_TITLES.get(char);
  if (own !== undefined) return own;
  const [first = "", ...rest] = Array.from(char.toUpperCase());
  return first + rest.join("").toLowerCase();
}

/** The number of the character at a place where there is one. */
export function codePoint(text: string, at = 0): number {
  return present(text.codePointAt(at), "a character");
}

/** A character's value as a digit of an integer. */
export function decimalValue(char: string): number {
  if (char >= "0" && char <= "9") return char.charCodeAt(0) - 48;
  // Decimal digits come in runs of ten that begin with zero, and no two runs touch without a gap of other ones.
  const code = codePoint(char);
  let value = 0;
  while (value < 9 && /\p{Nd}/u.test(String.fromCodePoint(code - value - 1))) value++;
  return code >= 0x1d7ce && code <= 0x1d7ff ? (code - 0x1d7ce) % 10 : value;
}
