import { codePoint } from "../python/text/unicode.ts";

const SHORT: Record<string, string> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
  "\n": "",
};

/**
 * What a string literal's text stands for, by Python's codec `unicode-escape`; undefined for an escape that is cut
 * off, or names a character (`\N{...}`).
 */
export function unescapeString(text: string): string | undefined {
  if (!text.includes("\\")) return text;
  let made = "";
  for (let at = 0; at < text.length; ) {
    const char = text.charAt(at);
    if (char !== "\\") {
      made += char;
      at++;
      continue;
    }
    const found = /^\\(?:([0-7]{1,3})|x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([^xuUN]))/su.exec(
      text.slice(at, at + 10),
    );
    if (found === null) return undefined;
    const [whole, octal, ...others] = found;
    const hex = others.slice(0, 3).find((digits) => digits !== undefined) ?? "";
    const other = others[3];
    if (other !== undefined) made += SHORT[other] ?? plainEscape(other);
    else {
      const code = octal !== undefined ? Number.parseInt(octal, 8) : Number.parseInt(hex, 16);
      if (code > 0x10ffff) return undefined;
      made += String.fromCodePoint(code);
    }
    at += whole.length;
  }
  return made;
}

/** A backslash that escapes nothing stays. jinja2 has other characters escaped before it looks: `\é` is `\xe9`. */
function plainEscape(char: string): string {
  const code = codePoint(char);
  if (code < 0x80) return `\\${char}`;
  const hex = code.toString(16);
  if (code < 0x100) return `\\x${hex.padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}
