import { isObject } from "../../../models/index.ts";
import { crc32 } from "./checksum.ts";
import type { RunStore } from "./store.ts";

/**
 * JSON lines that carry a checksum, so that a line cut by a kill is distinguished from a whole one. A line without a
 * checksum, as another tool would write it, is taken as it is.
 */

const MARK = ',"checksum":"';

/** One line, with no line feed: the record's JSON and the CRC-32 of it. */
export function toLine(record: object): string {
  const body = JSON.stringify(record);
  return `${body.slice(0, -1)}${MARK}${crc32(body)}"}`;
}

/** A line of a file: its record, undefined where it is damaged, and its bytes [start, end), the line feed left out. */
export interface Line {
  record: object | undefined;
  start: number;
  end: number;
}

/** Bytes that are read at once. */
const CHUNK = 2 ** 20;
const LINE_FEED = 10;

/** The lines of a store's file in order, blank ones left out; no more of it in memory than a chunk and a line. */
export async function* readLines(
  store: RunStore,
  file: string,
  { start = 0, end }: { start?: number; end?: number } = {},
): AsyncGenerator<Line> {
  const stop = end ?? (await store.size(file)) ?? 0;
  let rest = new Uint8Array(0);
  for (let at = start; at < stop; ) {
    const chunk = await store.read(file, { start: at, end: Math.min(stop, at + CHUNK) });
    if (chunk === undefined || chunk.length === 0) break;
    const bytes = new Uint8Array(rest.length + chunk.length);
    bytes.set(rest);
    bytes.set(chunk, rest.length);
    const first = at - rest.length;
    at += chunk.length;
    let done = 0;
    for (let feed = bytes.indexOf(LINE_FEED); feed >= 0; feed = bytes.indexOf(LINE_FEED, done)) {
      yield* lineOf(bytes.subarray(done, feed), first + done);
      done = feed + 1;
    }
    rest = bytes.slice(done);
  }
  yield* lineOf(rest, stop - rest.length);
}

function* lineOf(bytes: Uint8Array, start: number): Generator<Line> {
  const text = new TextDecoder().decode(bytes);
  if (text.trim() === "") return;
  yield { record: parseLine(text), start, end: start + bytes.length };
}

function parseLine(line: string): object | undefined {
  const at = line.lastIndexOf(MARK);
  const sum = at < 0 ? null : /^([0-9a-f]{8})"\}\s*$/.exec(line.slice(at + MARK.length));
  const body = sum === null ? line : `${line.slice(0, at)}}`;
  if (sum !== null && crc32(body) !== sum[1]) return undefined;
  try {
    const record: unknown = JSON.parse(body);
    return isObject(record) ? record : undefined;
  } catch {
    return undefined;
  }
}
