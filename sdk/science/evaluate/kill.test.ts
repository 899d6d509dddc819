import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { model, options, textsOf } from "../../../testing/fakes/fake_evaluation.ts";
import type { FileData } from "../../platform/index.ts";
import { memoryStore, type RunStore } from "../run/store.ts";
import { evaluate } from "./evaluate.ts";

const whole_files = new Map<string, Uint8Array>();
const whole = await evaluate(model, { ...options, out: memoryStore(whole_files) });
const expected = textsOf(whole_files);

describe("a kill at any byte of any write", () => {
  /** Every write in its order. */
  interface Write {
    file: string;
    bytes: Uint8Array;
    /** A whole write is there or not; an appended one may be cut. */
    is_whole: boolean;
  }

  async function journalOf(): Promise<Write[]> {
    const journal: Write[] = [];
    const encode = (data: FileData) => {
      if (typeof data === "string") return new TextEncoder().encode(data);
      if (data instanceof Uint8Array) return data;
      throw new Error("a file written in parts");
    };
    const inner = memoryStore();
    const store: RunStore = {
      ...inner,
      write: async (file, data) => {
        journal.push({ file, bytes: encode(data), is_whole: true });
        await inner.write(file, data);
      },
      append: async (file, lines) => {
        journal.push({ file, bytes: encode(`${lines}\n`), is_whole: false });
        return await inner.append(file, lines);
      },
    };
    // In two sessions, so that lines come in another order than the plan's.
    await evaluate(model, { ...options, limit: 1, out: store });
    await evaluate(model, { ...options, out: store, concurrency: 3 });
    return journal;
  }

  function filesAt(journal: readonly Write[], cut: number): Map<string, Uint8Array> {
    const files = new Map<string, Uint8Array>();
    let left = cut;
    for (const { file, bytes, is_whole } of journal) {
      if (is_whole && left < bytes.length) break;
      const kept = bytes.subarray(0, left);
      const before = is_whole ? new Uint8Array(0) : (files.get(file) ?? new Uint8Array(0));
      files.set(file, Uint8Array.from([...before, ...kept]));
      left -= kept.length;
      if (left <= 0) break;
    }
    return files;
  }

  it("resumes to the bytes of an unbroken evaluation", async () => {
    const journal = await journalOf();
    const total = journal.reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(journal.length).toBeGreaterThan(20);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: total }), async (cut) => {
        const files = filesAt(journal, cut);
        const result = await evaluate(model, { ...options, out: memoryStore(files) });
        expect(result).toEqual(whole);
        expect(textsOf(files)).toEqual(expected);
      }),
      { numRuns: 60, seed: 11 },
    );
  });
});
