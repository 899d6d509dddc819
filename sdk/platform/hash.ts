import { CapstanError, concatBytes } from "../../models/index.ts";

/**
 * SHA-256 of bytes or UTF-8 text, in hex; several parts are hashed as if joined.
 *
 * @throws CapstanError `unsupported` in a page that came over plain http, which browsers give no hashes
 */
export async function sha256(...parts: (Uint8Array | string)[]): Promise<string> {
  const { subtle } = crypto as { subtle?: typeof crypto.subtle };
  if (subtle === undefined) {
    throw new CapstanError("unsupported", {
      action: "take a model's digest",
      need: "a page from https or localhost",
      found: "one from plain http",
    });
  }
  const bytes = parts.map((part) => (typeof part === "string" ? new TextEncoder().encode(part) : part));
  const hash = new Uint8Array(await subtle.digest("SHA-256", concatBytes(bytes)));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
