/** A token of a reply with the text it adds. */
export interface TextPiece<T> {
  token: T;
  text: string;
}

/**
 * Holds tokens back while the text they add could still become one of the stop strings, and ends the reply
 * where one is complete. The texts of what comes out, joined, never hold any part of the stop string.
 */
export class StopStrings<T> {
  readonly #stops: readonly string[];
  #held: TextPiece<T>[] = [];
  #text = "";

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** Takes a token; gives those that may go out, and whether a stop string was met. */
  push(piece: TextPiece<T>): { out: TextPiece<T>[]; stopped: boolean } {
    this.#held.push(piece);
    this.#text += piece.text;
    const found = this.#stops.map((stop) => this.#text.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) return { out: this.#cut(Math.min(...found)), stopped: true };
    return { out: this.#release(this.#text.length - this.#suspicious()), stopped: false };
  }

  /** What is still held when the reply ends otherwise. */
  flush(): TextPiece<T>[] {
    return this.#release(this.#text.length, true);
  }

  /** Length of the longest end of the held text that begins a stop string. */
  #suspicious(): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let n = Math.min(stop.length - 1, this.#text.length); n > longest; n--) {
        if (this.#text.endsWith(stop.slice(0, n))) longest = n;
      }
    }
    return longest;
  }

  /**
   * Tokens whose text lies wholly in the first `length` characters. A last one without text is kept: it may
   * hold the first bytes of a character.
   */
  #release(length: number, all = false): TextPiece<T>[] {
    let end = 0;
    let released = 0;
    let count = 0;
    for (const [index, piece] of this.#held.entries()) {
      end += piece.text.length;
      if (!all && end > length) break;
      if (!all && piece.text === "") continue;
      count = index + 1;
      released = end;
    }
    this.#text = this.#text.slice(released);
    return this.#held.splice(0, count);
  }

  /** What stands before the stop string: whole tokens, and the one it begins in, cut short. */
  #cut(at: number): TextPiece<T>[] {
    const out = this.#release(at);
    const done = out.reduce((sum, piece) => sum + piece.text.length, 0);
    const next = this.#held.find((piece) => piece.text !== "");
    if (next !== undefined && at > done) out.push({ token: next.token, text: next.text.slice(0, at - done) });
    this.#held = [];
    this.#text = "";
    return out;
  }
}
