import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CapstanError } from "../../../models/index.ts";
import { OPTIONS as EXPERIMENT } from "../../../testing/fakes/fake_experiment.ts";
import { calls, fakeModel } from "../../../testing/fakes/fake_model.ts";
import { fit as fitAxis } from "../axis/fit.ts";
import { type CollectOptions, collect } from "../collect/collect.ts";
import { judge } from "../judge/judge_run.ts";
import { toLine } from "./lines.ts";
import { Run } from "./run.ts";
import { memoryStore, type RunStore } from "./store.ts";

/** What may befall a run's folder, and what its readers and its writer say. */

const model = fakeModel();
const OPTIONS: CollectOptions = { ...EXPERIMENT, concurrency: 8 };
const files = new Map<string, Uint8Array>();
await collect(model, { ...OPTIONS, out: memoryStore(files) });
const axis = (await fitAxis(await Run.open(memoryStore(copy())), { min_count: 4 })).toBytes();
const shards = [...files.keys()].filter((name) => name.startsWith("activations/")).sort();

function copy(): Map<string, Uint8Array> {
  return new Map([...files].map(([name, bytes]) => [name, bytes.slice()]));
}

/** The run after some damage, as it is opened, fitted and collected again. */
async function outcome(damage: (files: Map<string, Uint8Array>) => void) {
  const damaged = copy();
  damage(damaged);
  const store = memoryStore(damaged);
  const opened = await Run.open(store);
  const fitted = await fitAxis(opened, { min_count: 4 }).then(
    (made) => made.toBytes(),
    (error: CapstanError) => error,
  );
  const verified = await opened.verify().then(
    () => "whole",
    (error: CapstanError) => error,
  );
  calls.generate = 0;
  const again = await collect(model, { ...OPTIONS, out: store });
  const repaired = await fitAxis(await Run.open(store), { min_count: 4 });
  return { opened, fitted, verified, again, made: calls.generate, repaired: repaired.toBytes() };
}

function flip(bytes: Uint8Array, at: number, bits: number): void {
  bytes[at]! ^= bits;
}

describe("a shard", () => {
  it("of which any byte has changed is named by every reader, and made again by the next collect", async () => {
    const lengths = shards.map((name) => files.get(name)!.length);
    const places = lengths.flatMap((length, shard) => [
      fc.tuple(fc.constant(shard), fc.integer({ min: 0, max: length - 1 })),
    ]);
    await fc.assert(
      fc.asyncProperty(fc.oneof(...places), fc.integer({ min: 1, max: 255 }), async ([shard, at], change) => {
        const name = shards[shard]!;
        const found = await outcome((damaged) => flip(damaged.get(name)!, at, change));
        const said = expect.stringMatching(
          new RegExp(`^read run in memory/${name}: need checksum [0-9a-f]{8}, found [0-9a-f]{8}`),
        );
        expect(found.fitted).toMatchObject({ code: "bad_file", message: said });
        expect(found.verified).toMatchObject({ code: "bad_file", message: said });
        expect(found.again.warnings).toEqual([expect.stringContaining(`${name}: need checksum`)]);
        expect(found.made).toBeGreaterThan(0);
        expect(found.made).toBeLessThanOrEqual(64);
        expect(found.repaired).toEqual(axis);
      }),
      { numRuns: 20 },
    );
  });

  it.each([
    [
      "cut",
      (damaged: Map<string, Uint8Array>, name: string) => damaged.set(name, damaged.get(name)!.slice(0, -9)),
    ],
    [
      "longer",
      (damaged: Map<string, Uint8Array>, name: string) =>
        damaged.set(name, Uint8Array.of(...damaged.get(name)!, 0)),
    ],
    ["empty", (damaged: Map<string, Uint8Array>, name: string) => damaged.set(name, new Uint8Array(0))],
    ["gone", (damaged: Map<string, Uint8Array>, name: string) => damaged.delete(name)],
    [
      "another's",
      (damaged: Map<string, Uint8Array>, name: string) => damaged.set(name, damaged.get(shards[0]!)!),
    ],
  ])("that is %s is named and made again", async (_, damage) => {
    const name = shards[1]!;
    const found = await outcome((damaged) => void damage(damaged, name));
    expect(found.fitted).toBeInstanceOf(CapstanError);
    expect(found.fitted).toMatchObject({
      message: expect.stringContaining(`read run in memory/${name}: need `),
    });
    expect(found.verified).toBeInstanceOf(CapstanError);
    expect(found.again.warnings.join()).toContain(name);
    expect(found.repaired).toEqual(axis);
  });

  it("that no response is of is named and ignored", async () => {
    for (const name of ["activations/000099.safetensors", "activations/copy of 000000.safetensors"]) {
      const found = await outcome((damaged) => void damaged.set(name, damaged.get(shards[0]!)!));
      const said = [`run in memory/${name} belongs to no response of the run: ignored.`];
      expect([found.opened.warnings, found.again.warnings]).toEqual([said, said]);
      expect([found.fitted, found.verified, found.made]).toEqual([axis, "whole", 0]);
    }
  });

  it("of an older version has no checksum: it is read, and every reader says so", async () => {
    const found = await outcome((damaged) => {
      const lines = new TextDecoder().decode(damaged.get("responses.jsonl")).trimEnd().split("\n");
      const plain = lines.map((line) => {
        const { checksum: _, ...record } = JSON.parse(line);
        delete record.activation.crc32;
        return toLine(record);
      });
      damaged.set("responses.jsonl", new TextEncoder().encode(`${plain.join("\n")}\n`));
    });
    const said = [
      `run in memory has ${shards.length} shards without a checksum (of an older version): only their sizes are checked.`,
    ];
    expect([found.opened.warnings, found.again.warnings]).toEqual([said, said]);
    expect([found.fitted, found.made]).toEqual([axis, 0]);
  });
});

it("damaged lines in the middle are said, left out by readers and made again by collect", async () => {
  const found = await outcome((damaged) => flip(damaged.get("responses.jsonl")!, 200, 1));
  const remedy = "capstan collect with the same settings makes again what was there.";
  const said = "run in memory/responses.jsonl has 1 damaged line:";
  expect(found.opened.warnings).toContain(`${said} left out; ${remedy}`);
  expect(found.again.warnings).toEqual([`${said} removed; ${remedy}`]);
  expect(found.made).toBe(1);
  expect(found.repaired).toEqual(axis);
});

it("judge says of damaged lines what brings them back, and scores again what is its own", async () => {
  const damaged = copy();
  flip(damaged.get("responses.jsonl")!, 200, 1);
  flip(damaged.get("scores.jsonl")!, 20, 1);
  const n = (await Run.open(memoryStore(copy()))).scores.size;
  const run = await judge(memoryStore(damaged), { judge: EXPERIMENT.judge! });
  expect(run.warnings.slice(0, 2)).toEqual([
    "run in memory/responses.jsonl has 1 damaged line: removed; capstan collect with the same settings makes again what was there.",
    "run in memory/scores.jsonl has 1 damaged line: removed; capstan judge scores again what was there.",
  ]);
  expect(run.scores.size).toBe(n);
});

it("a last line that is cut is nothing to its writer, and said to a reader", async () => {
  const found = await outcome((files) => {
    files.set("responses.jsonl", files.get("responses.jsonl")!.slice(0, -20));
  });
  expect(found.opened.warnings).toContain(
    "run in memory/responses.jsonl is cut in its last line: left out; capstan collect with the same settings makes again what was there.",
  );
  expect(found.again.warnings).toEqual([]);
  expect(found.made).toBe(1);
});

describe("a folder", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "capstan-run-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("is one writer's at a time; another learns whose, and nothing is generated", async () => {
    calls.generate = 0;
    const first = collect(model, { ...OPTIONS, out: folder });
    await vi.waitFor(() => expect(calls.generate).toBeGreaterThan(0));
    const second = await collect(model, { ...OPTIONS, out: folder, seed: 99 }).catch(
      (error: CapstanError) => error,
    );
    expect(second).toMatchObject({
      code: "bad_request",
      message: expect.stringContaining(
        `need no other process at work on it, found process ${process.pid} on ${hostname()}`,
      ),
    });
    const run = await first;
    expect(calls.generate).toBe(run.responses.size);
    expect((await readdir(folder)).sort()).toEqual([
      "activations",
      "manifest.json",
      "responses.jsonl",
      "scores.jsonl",
    ]);
    // Readers and later writers are free.
    await run.addScores([{ key: "role00_p0_q0_s0", score: 0, judge: "by hand" }]);
    expect((await Run.open(folder)).scores.get("role00_p0_q0_s0")).toMatchObject({ judge: "by hand" });
  });

  it("keeps nothing of what a killed writer left beside its files", async () => {
    await collect(model, { ...OPTIONS, out: folder, limit: 2 });
    const id = "0f8fad5b-d9cb-469f-a165-70867728950e";
    for (const name of [
      `.manifest.json.${id}.tmp`,
      `activations/.000001.safetensors.${id}.tmp`,
      `lock.${id}`,
    ]) {
      await writeFile(join(folder, name), "x");
    }
    await writeFile(join(folder, "notes.txt"), "mine");
    const run = await collect(model, { ...OPTIONS, out: folder, limit: 2 });
    expect(run.warnings).toEqual([]);
    expect((await readdir(folder)).filter((name) => name.startsWith(".") || name.startsWith("lock"))).toEqual(
      [],
    );
    expect((await readdir(join(folder, "activations"))).filter((name) => name.startsWith("."))).toEqual([]);
    expect(await readFile(join(folder, "notes.txt"), "utf8")).toBe("mine");
  });

  it("that cannot be written to is refused before anything is generated", async () => {
    await writeFile(join(folder, "file"), "");
    calls.generate = 0;
    await expect(collect(model, { ...OPTIONS, out: join(folder, "file", "run") })).rejects.toMatchObject({
      code: expect.stringMatching(/bad_file|not_found/),
    });
    await mkdir(join(folder, "run", "manifest.json"), { recursive: true });
    await expect(collect(model, { ...OPTIONS, out: join(folder, "run") })).rejects.toMatchObject({
      code: "bad_file",
    });
    expect(calls.generate).toBe(0);
    expect(await readdir(join(folder, "run"))).toEqual(["manifest.json"]);
  });
});

it("fit says what is odd about a folder that it opens, on one's own channel", async () => {
  const folder = await mkdtemp(join(tmpdir(), "capstan-run-"));
  await collect(model, { ...OPTIONS, out: folder });
  await writeFile(join(folder, "activations", "old.safetensors"), "x");
  const said: string[] = [];
  await fitAxis(folder, { min_count: 4, on_warning: (text) => said.push(text) });
  expect(said).toEqual([`${folder}/activations/old.safetensors belongs to no response of the run: ignored.`]);
  await rm(folder, { recursive: true });
});

describe("a disk that fills up", () => {
  it.each([1, 2, 3, 4, 5, 6])(
    "at write %i: one clear error, and what was written is the start of the rest",
    async (n) => {
      const kept = new Map<string, Uint8Array>();
      const failed = await collect(model, { ...OPTIONS, out: filling(memoryStore(kept), n) }).catch(
        (error: unknown) => error,
      );
      expect(failed).toMatchObject({
        code: "bad_file",
        message: expect.stringContaining("a full disk (ENOSPC)"),
      });
      calls.generate = 0;
      const run = await collect(model, { ...OPTIONS, out: memoryStore(kept) });
      expect(calls.generate).toBeLessThanOrEqual(run.responses.size);
      expect((await fitAxis(run, { min_count: 4 })).toBytes()).toEqual(axis);
    },
  );
});

/** A store whose disk is full from its n-th write on; an append may get half of its bytes there. */
function filling(store: RunStore, n: number): RunStore {
  let left = n;
  const full = (file: string) => {
    const parts = { action: `write ${file}`, need: "the system to allow it", found: "a full disk (ENOSPC)" };
    return new CapstanError("bad_file", parts);
  };
  return {
    ...store,
    async write(file, data) {
      if (--left <= 0) throw full(file);
      await store.write(file, data);
    },
    async append(file, lines) {
      if (--left > 0) return await store.append(file, lines);
      const before = (await store.read(file)) ?? new Uint8Array(0);
      const half = new TextEncoder().encode(lines.slice(0, lines.length >> 1));
      await store.write(file, Uint8Array.of(...before, ...half));
      throw full(file);
    },
  };
}
