import type { Value } from "../object.ts";
import { str } from "../protocols.ts";
import { Str, StrBuilder } from "./str.ts";

const ESCAPES: Record<string, string> = {
  "&": "&amp;",
  ">": "&gt;",
  "<": "&lt;",
  "'": "&#39;",
  '"': "&#34;",
};

/** markupsafe's escape: markup of any value. */
export function escapeHtml(value: Value): Str {
  if (value instanceof Str && value.is_markup) return value;
  const text = str(value);
  return new StrBuilder().replaced(text, /[&<>'"]/g, (char) => ESCAPES[char] ?? char).done(true);
}

/** Escaped where the whole is markup. */
export function escapedFor(whole: Str, value: Str): Str {
  return whole.is_markup ? escapeHtml(value) : value;
}
