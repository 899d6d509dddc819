/** An id of OpenAI's form: `chatcmpl-` and 24 random characters. */
export function makeId(prefix: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return prefix + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Seconds of Unix time. */
export function unixSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
