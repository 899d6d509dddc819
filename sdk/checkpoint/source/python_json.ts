import { isObject } from "../../../models/index.ts";

/** The one key of the object that stands for a NaN until it is revived; no file of a model holds such a key. */
const NAN_KEY = "\u0000NaN\u0000";

/**
 * Parses JSON as Python's `json` reads it: `NaN`, `Infinity` and `-Infinity`, which it also writes, are numbers.
 *
 * @throws SyntaxError as `JSON.parse` gives it for the text itself
 */
export function parsePythonJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const plain = replaceLiterals(text);
    if (plain === text) throw error;
    try {
      return JSON.parse(plain, (_, value: unknown) =>
        isObject(value) && NAN_KEY in value ? Number.NaN : value,
      );
    } catch {
      throw error;
    }
  }
}

/** The literals outside strings as what JSON has: infinities as numbers too large for a double, NaN as an object. */
function replaceLiterals(text: string): string {
  let made = "";
  let copied = 0;
  const replace = (at: number, literal: string, by: string) => {
    made += text.slice(copied, at) + by;
    copied = at + literal.length;
  };
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '"') at = stringEnd(text, at);
    else if (/[\w.]/.test(text[at - 1] ?? "")) continue;
    else if (text.startsWith("Infinity", at)) replace(at, "Infinity", "1e999 ");
    else if (text.startsWith("NaN", at)) replace(at, "NaN", JSON.stringify({ [NAN_KEY]: 0 }));
  }
  return made + text.slice(copied);
}

/** The place of the quote that ends the string begun at `start`; the text's end where none does. */
function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at;
}
