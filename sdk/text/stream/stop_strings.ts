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

  /**
   * Takes a token; gives those that may go out, and whether a stop string was met.
   *
   * @param is_open whether some of the token's text is still to come: then it stays, for what may come at the end
   */
  push(piece: TextPiece<T>, is_open = false): { out: TextPiece<T>[]; stopped: boolean } {
    this.#held.push(piece);
    this.#text += piece.text;
    const at = this.#find();
    if (at !== null) return { out: this.#cut(at), stopped: true };
    const length = this.#text.length - this.#suspicious();
    return {
      out: this.#release(length, is_open ? this.#held.length - 1 : this.#held.length),
      stopped: false,
    };
  }

  /**
   * What is still held when the reply ends otherwise, and whether a stop string was met in its last text.
   *
   * @param tail text that the last token brings after all
   */
  flush(tail = ""): { out: TextPiece<T>[]; stopped: boolean } {
    const last = this.#held.at(-1);
    if (last !== undefined) last.text += tail;
    this.#text += tail;
    const at = this.#find();
    if (at !== null) return { out: this.#cut(at), stopped: true };
    this.#text = "";
    return { out: this.#held.splice(0), stopped: false };
  }

  /** Where the first stop string begins in the held text. */
  #find(): number | null {
    const found = this.#stops.map((stop) => this.#text.indexOf(stop)).filter((at) => at >= 0);
    return found.length === 0 ? null : Math.min(...found);
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
   * Tokens whose text lies wholly in the first `length` characters, of the first `most`. A last one without text is
   * kept: it may hold the first bytes of a character.
   */
  #release(length: number, most = this.#held.length): TextPiece<T>[] {
    let end = 0;
    let released = 0;
    let count = 0;
    for (const [index, piece] of this.#held.slice(0, most).entries()) {
      end += piece.text.length;
      if (end > length) break;
      if (piece.text === "") continue;
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
