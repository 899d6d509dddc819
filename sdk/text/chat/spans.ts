import { itemAt } from "../../../models/certain.ts";
import type { Source, SourceRun, Str } from "../jinja/index.ts";

/** A stretch of the rendering, characters [start, end), that came from the request. */
export interface Region {
  start: number;
  end: number;
}

/**
 * Where each message's content lies in a rendering: characters [start, end), null where the template drops it.
 *
 * A template may print a content in pieces, with tags of its own between them, and may print it twice. Pieces that
 * follow each other are one; a text that comes again, or another message between, begins the next. The longest counts,
 * and of equals the last: a title comes before the message.
 */
export function locateContents(rendering: Str, n_messages: number): (Region | null)[] {
  const found = Array.from({ length: n_messages }, (): Pieces[] => []);
  let last_turn: number | null = null;
  for (const run of rendering.runs) {
    const { turn } = run.source;
    if (turn === null) continue;
    const own = itemAt(found, turn);
    const pieces = own.at(-1);
    if (pieces === undefined || last_turn !== turn || !pieces.take(run)) own.push(new Pieces(run));
    last_turn = turn;
  }
  return found.map((all) => {
    const best = all.reduce<Pieces | null>(
      (most, one) => (most === null || one.size >= most.size ? one : most),
      null,
    );
    return best === null ? null : { start: best.start, end: best.end };
  });
}

/** Pieces of one content that follow each other. */
class Pieces {
  readonly start: number;
  end: number;
  size = 0;
  readonly #taken: SourceRun[] = [];

  constructor(run: SourceRun) {
    this.start = run.start;
    this.end = run.end;
    this.take(run);
  }

  /** Takes a piece, unless its text has been here. */
  take(run: SourceRun): boolean {
    const is_known = (source: Source, from: number, to: number) =>
      this.#taken.some((one) => one.source === source && one.from < to && from < one.to);
    if (is_known(run.source, run.from, run.to)) return false;
    this.#taken.push(run);
    this.end = run.end;
    this.size += run.end - run.start;
    return true;
  }
}
