import { mkdtemp, readdir, readFile, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { calls, D_MODEL, FAKE_JUDGE, fakeModel, N_LAYERS } from "../../../testing/fakes/fake_model.ts";
import { fit as fitAxis } from "../axis/fit.ts";
import { type CollectOptions, collect } from "../collect/collect.ts";
import { crc32 } from "./checksum.ts";
import { readLines, toLine } from "./lines.ts";
import { Run } from "./run.ts";
import { memoryStore, type RunStore } from "./store.ts";

const model = fakeModel();
const roles = Object.fromEntries(
  ["near", "middle", "far"].map((name, i) => {
    return [name, { instruction: [{ pos: `[d=0.${3 + 3 * i}]` }, { pos: `now [d=0.${3 + 3 * i}]` }] }];
  }),
);
const bands = Object.fromEntries(Object.keys(roles).map((name) => [name, { min: 0, max: 4 }]));
const OPTIONS: CollectOptions = {
  roles,
  questions: Array.from({ length: 8 }, (_, i) => `question ${i}`),
  judge: { ...FAKE_JUDGE, roles: bands },
  max_tokens: 32,
};
const TOTAL = 3 * 2 * 8 + 5 * 8;

/** What a run holds, whatever the order its responses came in. */
async function contentsOf(run: Run): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  const size = N_LAYERS * D_MODEL;
  for await (const { responses, data } of run.activations()) {
    for (const [i, response] of responses.entries()) {
      const { activation: _, ...rest } = response;
      const score = run.scores.get(response.key)?.score;
      found.set(response.key, { ...rest, score, values: data.subarray(i * size, (i + 1) * size).join() });
    }
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const whole = await collect(model, OPTIONS);
const expected = await contentsOf(whole);

beforeEach(() => {
  calls.generate = 0;
  calls.fail_after = Number.POSITIVE_INFINITY;
});

describe("a run in files", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "capstan-run-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("is the run in memory, and opens again", async () => {
    await collect(model, { ...OPTIONS, out: folder });
    expect((await readdir(folder)).sort()).toEqual([
      "activations",
      "manifest.json",
      "responses.jsonl",
      "scores.jsonl",
    ]);
    expect(await contentsOf(await Run.open(folder))).toEqual(expected);
    expect(expected.size).toBe(TOTAL);
    const axis = await fitAxis(folder, { min_count: 5 });
    expect(axis.toBytes()).toEqual((await fitAxis(whole, { min_count: 5 })).toBytes());
  });

  it("does nothing when everything is there", async () => {
    await collect(model, { ...OPTIONS, out: folder });
    const before = await readFile(join(folder, "responses.jsonl"), "utf8");
    calls.generate = 0;
    await collect(model, { ...OPTIONS, out: folder });
    expect(calls.generate).toBe(0);
    expect(await readFile(join(folder, "responses.jsonl"), "utf8")).toBe(before);
  });

  it("goes on after a failure in the middle, keeping what was complete", async () => {
    calls.fail_after = 70;
    await expect(collect(model, { ...OPTIONS, out: folder, concurrency: 16 })).rejects.toThrow("killed");
    const kept = (await Run.open(folder)).responses.size;
    expect(kept).toBeGreaterThanOrEqual(70 - 16);
    calls.fail_after = Number.POSITIVE_INFINITY;
    calls.generate = 0;
    expect(await contentsOf(await collect(model, { ...OPTIONS, out: folder }))).toEqual(expected);
    expect(calls.generate).toBe(TOTAL - kept);
  });

  it("goes on after an abort, which is an error of its own", async () => {
    const abort = new AbortController();
    const stopped = collect(model, {
      ...OPTIONS,
      out: folder,
      signal: abort.signal,
      on_progress: ({ done }) => void (done === 70 && abort.abort()),
    });
    await expect(stopped).rejects.toMatchObject({ code: "aborted" });
    expect((await Run.open(folder)).responses.size).toBeGreaterThanOrEqual(70);
    expect(await contentsOf(await collect(model, { ...OPTIONS, out: folder }))).toEqual(expected);
  });

  it("fixes a file that was cut short on disk", async () => {
    await collect(model, { ...OPTIONS, out: folder });
    const path = join(folder, "responses.jsonl");
    await truncate(path, (await readFile(path)).length - 37);
    expect(await contentsOf(await collect(model, { ...OPTIONS, out: folder }))).toEqual(expected);
    expect((await parsed(await readFile(path))).damaged).toBe(0);
  });

  it.each([
    [
      {},
      fakeModel({ digest: "sha256:other" }),
      "digest_mismatch",
      /the model it was begun with, fake \(sha256:fake\)/,
    ],
    [{ temperature: 0.5 }, model, "bad_request", /need sampling.temperature 0.7, found 0.5/],
    [{ seed: 9 }, model, "bad_request", /need seed 0, found 9/],
    [{ questions: ["other"] }, model, "bad_request", /need questions/],
    [{ roles: { near: roles.near! } }, model, "bad_request", /need roles.far/],
  ])("refuses to go on otherwise: %j", async (change, other, code, message) => {
    await collect(model, { ...OPTIONS, out: folder, limit: 1 });
    const resumed = collect(other, { ...OPTIONS, ...(change as CollectOptions), out: folder });
    await expect(resumed).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it("a limit may grow", async () => {
    await collect(model, { ...OPTIONS, out: folder, limit: 2 });
    expect(await contentsOf(await collect(model, { ...OPTIONS, out: folder }))).toEqual(expected);
  });
});

describe("a kill at any byte", () => {
  it("costs only what was in flight: the run continued is the run uninterrupted", async () => {
    const journal = await journalOfRun();
    const total = journal.reduce((sum, { bytes }) => sum + bytes.length, 0);
    // Every write of a run, cut at random bytes, its beginning and its end.
    const ends = journal.map((_, i) =>
      journal.slice(0, i + 1).reduce((sum, { bytes }) => sum + bytes.length, 0),
    );
    const cuts = fc.oneof(
      fc.integer({ min: 0, max: total }),
      fc.constantFrom(...ends.flatMap((at) => [at - 1, at])),
    );
    await fc.assert(
      fc.asyncProperty(cuts, async (cut) => {
        const resumed = await collect(model, { ...OPTIONS, out: memoryStore(cutAt(journal, cut)) });
        expect(await contentsOf(resumed)).toEqual(expected);
      }),
      { numRuns: 30 },
    );
  });

  it("also when a shard that lines name is gone or cut", async () => {
    const files = cutAt(await journalOfRun(), Number.POSITIVE_INFINITY);
    const shards = [...files.keys()].filter((name) => name.startsWith("activations/")).sort();
    expect(shards.length).toBeGreaterThan(1);
    files.set(shards.at(-1)!, files.get(shards.at(-1)!)!.slice(0, -5));
    files.delete(shards[0]!);
    const resumed = await collect(model, { ...OPTIONS, out: memoryStore(files) });
    expect(await contentsOf(resumed)).toEqual(expected);
    expect(await contentsOf(await Run.open(memoryStore(files)))).toEqual(expected);
  });
});

interface Write {
  kind: "write" | "append";
  file: string;
  bytes: Uint8Array;
}

/** Every write of a whole run, in order. */
async function journalOfRun(): Promise<Write[]> {
  const journal: Write[] = [];
  const inner = memoryStore();
  const store: RunStore = {
    ...inner,
    write: async (file, data) => {
      await inner.write(file, data);
      journal.push({ kind: "write", file, bytes: (await inner.read(file))! });
    },
    append: async (file, lines) => {
      journal.push({ kind: "append", file, bytes: new TextEncoder().encode(`${lines}\n`) });
      return await inner.append(file, lines);
    },
  };
  await collect(model, { ...OPTIONS, out: store });
  return journal;
}

/** The files as a kill leaves them after `cut` bytes: atomic writes whole or not at all, appends torn. */
function cutAt(journal: readonly Write[], cut: number): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  let left = cut;
  for (const { kind, file, bytes } of journal) {
    const part = bytes.subarray(0, Math.max(0, left));
    left -= bytes.length;
    if (kind === "write" && left < 0) break;
    const before = kind === "append" ? (files.get(file) ?? new Uint8Array(0)) : new Uint8Array(0);
    if (part.length > 0) files.set(file, Uint8Array.of(...before, ...part));
    if (left < 0) break;
  }
  return files;
}

/** The records of a file in order, and how many of its lines are damaged. */
async function parsed(bytes: Uint8Array): Promise<{ records: unknown[]; damaged: number }> {
  const found: { records: unknown[]; damaged: number } = { records: [], damaged: 0 };
  for await (const { record } of readLines(memoryStore(new Map([["lines", bytes]])), "lines")) {
    if (record === undefined) found.damaged += 1;
    else found.records.push(record);
  }
  return found;
}

describe("lines", () => {
  it("carry the CRC-32 everyone knows", () => {
    expect(crc32("123456789")).toBe("cbf43926");
  });

  it("cut anywhere, or with a byte changed, are damaged and nothing else", async () => {
    const line = toLine({ key: "a_p0", text: 'she said "hi",\n"checksum":"', n: 3.5, é: "ü" });
    const bytes = new TextEncoder().encode(`${line}\n`);
    expect((await parsed(bytes)).records).toEqual([
      { key: "a_p0", text: 'she said "hi",\n"checksum":"', n: 3.5, é: "ü" },
    ]);
    for (let cut = 1; cut < bytes.length - 1; cut++) {
      expect(await parsed(bytes.subarray(0, cut)), `cut at ${cut}`).toEqual({ records: [], damaged: 1 });
    }
    for (let at = 0; at < bytes.length - ',"checksum":"00000000"}\n'.length; at++) {
      const changed = bytes.slice();
      changed[at]! ^= 1;
      expect((await parsed(changed)).records, `changed at ${at}`).toEqual([]);
    }
  });

  it("of another tool need no checksum", async () => {
    const bytes = new TextEncoder().encode('{"key":"a"}\n\n{"key":"b"}\nnot json\n[1]\n');
    expect(await parsed(bytes)).toEqual({ records: [{ key: "a" }, { key: "b" }], damaged: 2 });
  });
});

it("says that there is no run where there is none", async () => {
  await expect(Run.open("no/such/folder")).rejects.toThrow(
    /open run no\/such\/folder: need manifest.json, found none/,
  );
  const store = memoryStore(new Map([["manifest.json", new TextEncoder().encode('{"format":"x"}')]]));
  await expect(Run.open(store)).rejects.toThrow(/format "capstan.run", found "x"/);
});
