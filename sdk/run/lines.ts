import { isObject } from "../../models/index.ts";

/**
 * JSON lines that carry a checksum, so that a line cut by a kill is told from a whole one. A line without a
 * checksum, as another tool would write it, is taken as it is.
 */

const MARK = ',"checksum":"';

/** One line, with no line feed: the record's JSON and the CRC-32 of it. */
export function toLine(record: object): string {
  const body = JSON.stringify(record);
  return `${body.slice(0, -1)}${MARK}${crc32(body)}"}`;
}

/** The records of a file in order, and how many lines were damaged and left out. */
export function parseLines(bytes: Uint8Array): { records: unknown[]; damaged: number } {
  const records: unknown[] = [];
  let damaged = 0;
  for (const line of new TextDecoder().decode(bytes).split("\n")) {
    if (line.trim() === "") continue;
    const record = parseLine(line);
    if (record === undefined) damaged += 1;
    else records.push(record);
  }
  return { records, damaged };
}

function parseLine(line: string): unknown {
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

/** CRC-32 (IEEE 802.3) of a text's UTF-8, in hex. */
export function crc32(text: string): string {
  let crc = 0xffffffff;
  for (const byte of new TextEncoder().encode(text)) crc = TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return ((crc ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});
