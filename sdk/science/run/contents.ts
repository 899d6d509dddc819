import { entryOf, itemAt, present } from "../../../models/certain.ts";
import { CapstanError } from "../../../models/index.ts";
import { readLines, toLine } from "./lines.ts";
import { isResponse, isScore, isSkipped, type ResponseEntry, type SkippedRecord } from "./records.ts";
import { Scores } from "./scores.ts";
import {
  byShard,
  checkShard,
  checkShardSize,
  SHARDS,
  type ShardFile,
  shardFile,
  shardIndex,
} from "./shards.ts";
import { LOCK, type RunStore } from "./store.ts";

/** What stands in a run's files. */

export const RESPONSES = "responses.jsonl";
export const SCORES = "scores.jsonl";
export const SKIPPED = "skipped.jsonl";

/** Bytes [start, end) of a line. */
export interface Place {
  start: number;
  end: number;
}

export interface Contents {
  /** By key; the last line of a key counts. */
  responses: Map<string, ResponseEntry>;
  /** Where each response's line lies. */
  places: Map<string, Place>;
  scores: Scores;
  skipped: SkippedRecord[];
  /** What is odd about the files, a sentence each. */
  warnings: string[];
}

/** Reads a run's lines. With `repair`, which only its writer may ask for, files are rewritten without damaged lines. */
export async function readContents(store: RunStore, repair: boolean): Promise<Contents> {
  const contents: Contents = {
    responses: new Map(),
    places: new Map(),
    scores: new Scores(),
    skipped: [],
    warnings: [],
  };
  // One copy of each text that many responses have.
  const texts = new Map<string, string>();
  const shared = (text: string) => {
    if (!texts.has(text)) texts.set(text, text);
    return entryOf(texts, text);
  };
  await readRecords(store, RESPONSES, isResponse, repair, contents.warnings, (record, place) => {
    const { messages: _, text: __, ...entry } = record;
    const group = entry.group === undefined ? {} : { group: shared(entry.group) };
    contents.responses.set(entry.key, { ...entry, role: shared(entry.role), ...group });
    contents.places.set(entry.key, place);
  });
  await readRecords(store, SCORES, isScore, repair, contents.warnings, (score) => {
    contents.scores.add([score]);
  });
  await readRecords(store, SKIPPED, isSkipped, repair, contents.warnings, (one) => {
    contents.skipped.push(one);
  });
  return contents;
}

/** By file: what brings back what a damaged line held. */
const REMADE: Readonly<Record<string, string>> = {
  [RESPONSES]: "capstan collect with the same settings makes again what was there",
  [SCORES]: "capstan judge scores again what was there",
  [SKIPPED]: "capstan collect notes again what it skips",
};

async function readRecords<T extends object>(
  store: RunStore,
  file: string,
  isRecord: (value: unknown) => value is T,
  repair: boolean,
  warnings: string[],
  take: (record: T, place: Place) => void,
): Promise<void> {
  const size = await store.size(file);
  if (size === undefined) return;
  const isWhole = (record: object | undefined): record is T => record !== undefined && isRecord(record);
  let damaged = 0;
  let is_cut = false;
  for await (const { record, start, end } of readLines(store, file)) {
    if (isWhole(record)) take(record, { start, end });
    // A kill cuts the last line, which is as it should be.
    else if (end === size) is_cut = true;
    else damaged += 1;
  }
  if (damaged > 0) {
    const lines = damaged === 1 ? "1 damaged line" : `${damaged} damaged lines`;
    warnings.push(`${store.name}/${file} has ${lines}: ${repair ? "removed" : "left out"}; ${REMADE[file]}.`);
  }
  // Its writer goes on from there; whoever only reads has less than was meant.
  if (is_cut && !repair)
    warnings.push(`${store.name}/${file} is cut in its last line: left out; ${REMADE[file]}.`);
  if (!repair || (damaged === 0 && !is_cut)) return;
  await store.write(file, wholeLines(store, file, isWhole));
  await readRecords(store, file, isRecord, false, [], take);
}

async function* wholeLines(
  store: RunStore,
  file: string,
  isWhole: (record: object | undefined) => record is object,
): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for await (const { record } of readLines(store, file)) {
    if (isWhole(record)) yield encoder.encode(`${toLine(record)}\n`);
  }
}

/** A shard that is not as the lines say: which, and how. */
export interface ShardFault {
  shard: number;
  error: CapstanError;
}

/** The shards that lines name. */
export function namedShards(responses: Iterable<ResponseEntry>): ShardFile[] {
  return [...byShard(responses).values()].map((list) =>
    present(itemAt(list, 0).activation, "the place of an activation"),
  );
}

/** Looks at every shard's size, or (`whole`) reads it and checks its checksum. */
export async function findFaults(
  store: RunStore,
  shards: readonly ShardFile[],
  whole: boolean,
  on_checked: (done: number) => void = () => {},
): Promise<ShardFault[]> {
  const faults: ShardFault[] = [];
  for (const [i, file] of shards.entries()) {
    try {
      await (whole ? checkShard(store, file) : checkShardSize(store, file));
    } catch (error) {
      // What the system says (no permission, too many files) is nothing of the file's.
      if (!(error instanceof CapstanError) || error.cause !== undefined) throw error;
      faults.push({ shard: file.shard, error });
    }
    on_checked(i + 1);
  }
  return faults;
}

/** What to say of shards beside their faults: files that no line names, and shards without a checksum. */
export async function oddShards(store: RunStore, shards: readonly ShardFile[]): Promise<string[]> {
  const named = new Set(shards.map(({ shard }) => shard));
  const extra = (await store.list(SHARDS)).filter(
    (name) => !isTemporary(name) && !named.has(shardIndex(name) ?? -1),
  );
  const n_plain = shards.filter(({ crc32 }) => crc32 === undefined).length;
  return [
    ...extra.map((name) => `${store.name}/${SHARDS}/${name} belongs to no response of the run: ignored.`),
    ...(n_plain === 0
      ? []
      : [
          `${store.name} has ${n_plain} shards without a checksum (of an older version): only their sizes are checked.`,
        ]),
  ];
}

/** Removes what a killed writer left beside its files. */
export async function removeLeftovers(store: RunStore): Promise<void> {
  for (const folder of ["", SHARDS]) {
    for (const name of await store.list(folder)) {
      if (isTemporary(name)) await store.remove(folder === "" ? name : `${folder}/${name}`);
    }
  }
}

/** Of `writeFileAtomic` and of a lock that was moved aside. */
function isTemporary(name: string): boolean {
  return (
    /^\..+\.[0-9a-f-]{36}\.tmp$/.test(name) || (name.startsWith(`${LOCK}.`) && /\.[0-9a-f-]{36}$/.test(name))
  );
}

/** Removes faulty shards; their responses lose their activation, and so are made again. What to say of it. */
export async function dropShards(
  store: RunStore,
  responses: Map<string, ResponseEntry>,
  faults: readonly ShardFault[],
): Promise<string[]> {
  const shards = byShard(responses.values());
  const said: string[] = [];
  for (const { shard, error } of faults) {
    const lost = shards.get(shard) ?? [];
    for (const { activation: _, ...rest } of lost) responses.set(rest.key, rest);
    await store.remove(shardFile(shard));
    const { need, found } = error.parts;
    said.push(
      `${store.name}/${shardFile(shard)}: need ${need}, found ${found}; its ${lost.length} responses are made again.`,
    );
  }
  return said;
}
