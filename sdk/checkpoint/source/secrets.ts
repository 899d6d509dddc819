import { CapstanError } from "../../../models/index.ts";

/**
 * Checks headers before they are sent: fetch refuses a malformed value with an error that quotes it, and a header may
 * hold a token.
 *
 * @throws CapstanError `bad_request` that names the header and what is wrong with its value, never the value
 */
export function checkHeaders(headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) {
    const wrong = wrongCharacter(value, /[^\t\x20-\x7e]/);
    if (wrong === null) continue;
    throw new CapstanError("bad_request", {
      action: "send a request",
      need: `a header ${name} of printable ASCII characters`,
      found: wrong,
    });
  }
}

/**
 * Checks a token, which stands in a header behind a word and a space.
 *
 * @param from where it came from, for the error
 * @throws CapstanError `access_denied` that does not show the token
 */
export function checkToken(token: string, from: string): string {
  const wrong = wrongCharacter(token, /[^\x21-\x7e]/);
  if (wrong === null) return token;
  throw new CapstanError("access_denied", {
    action: `read the token of ${from}`,
    need: "a token of printable ASCII characters without spaces or line breaks",
    found: wrong,
    fix: "Copy it again, in one line.",
  });
}

/** What of a value may not be in it, as words; null when all of it may. */
function wrongCharacter(value: string, forbidden: RegExp): string | null {
  const at = value.search(forbidden);
  if (at < 0) return null;
  const code = value.codePointAt(at)!;
  const what =
    code === 10 || code === 13 ? "a line break" : `character U+${code.toString(16).padStart(4, "0")}`;
  return `${what} at place ${at + 1}`;
}

/** An error as it was, with every occurrence of a secret replaced, in its message and in what caused it. */
export function withoutSecret(error: unknown, secret: string | undefined): unknown {
  if (secret === undefined || secret === "" || !holds(error, secret)) return error;
  const hide = (text: string) => text.replaceAll(secret, "(hidden)");
  if (!(error instanceof CapstanError)) return new Error(hide(String((error as Error)?.message ?? error)));
  const { action, need, found, fix } = error.parts;
  const parts = { action: hide(action), need: hide(need), found: hide(found) };
  return new CapstanError(error.code, fix === undefined ? parts : { ...parts, fix: hide(fix) });
}

function holds(error: unknown, secret: string): boolean {
  for (let at = error, depth = 0; at !== undefined && at !== null && depth < 8; depth++) {
    const { message, cause } = at as { message?: unknown; cause?: unknown };
    if (String(message ?? at).includes(secret)) return true;
    at = cause;
  }
  return false;
}
