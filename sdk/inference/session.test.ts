import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Hook } from "../../models/index.ts";
import { runtimeOf } from "../../testing/runtime_of.ts";
import type { Model } from "../types.ts";
import { generate } from "./generate.ts";
import { load } from "./load.ts";

let model: Model;
beforeAll(async () => {
  model = await load("capstan-tiny", { device: "wasm" });
});
afterAll(() => model.dispose());

const text = (n: number, first: number) =>
  Array.from({ length: n }, (_, i) => 300 + ((first + 13 * i) % 1200));
const last = (tokens: readonly number[]) => model.forward(tokens, { logits: "last" });

describe("calls on a session take effect in the order they were made", () => {
  it("truncate waits for the forward before it", async () => {
    await using session = await model.session();
    await session.forward(text(40, 1));
    const forward = session.forward([5, 6, 7]);
    void session.truncate(10);
    await forward;
    const { logits } = await session.forward([8, 9]);
    expect(session.n_tokens).toBe(12);
    expect(logits).toEqual((await last([...text(10, 1), 8, 9])).logits);
  });

  it("a forward that is cut short by a truncate has its own numbers all the same", async () => {
    const tokens = text(1000, 3);
    const expected = await last(tokens);
    await using session = await model.session();
    const forward = session.forward(tokens, { logits: "last" });
    // Between its two chunks, and a step later.
    await new Promise((resolve) => setTimeout(resolve, 5));
    const done = session.truncate(0);
    expect((await forward).logits).toEqual(expected.logits);
    await done;
    expect(session.n_tokens).toBe(0);
  });

  it("any order of forward, truncate and fork gives what it would one by one", async () => {
    for (let seed = 0; seed < 30; seed++) {
      await using session = await model.session();
      let past: number[] = [];
      const checks: Promise<void>[] = [];
      for (let n = 0; n < 8; n++) {
        const roll = (seed * 31 + n * 17) % 10;
        if (roll < 5) {
          const more = text(1 + ((seed + n) % 40), seed + n);
          past = [...past, ...more];
          const all = past;
          checks.push(
            session.forward(more).then(async ({ logits }) => {
              expect(logits).toEqual((await last(all)).logits);
            }),
          );
        } else if (roll < 8) {
          const kept = Math.floor(past.length / 2);
          past = past.slice(0, kept);
          checks.push(session.truncate(kept));
        } else {
          const all = past;
          checks.push(
            session.fork().then(async (fork) => {
              const { logits } = await fork.forward([7]);
              expect(logits).toEqual((await last([...all, 7])).logits);
              await fork.dispose();
            }),
          );
        }
      }
      await Promise.all(checks);
      expect(session.n_tokens).toBe(past.length);
    }
  });

  it("truncate says at the call what would be too many, and later where a call before it failed", async () => {
    await using session = await model.session();
    await session.forward(text(20, 4));
    for (const wrong of [21, -1, 0.5, Number.NaN, "3" as unknown as number]) {
      expect(() => session.truncate(wrong)).toThrow(
        /truncate a session: need a number of tokens from 0 to 20/,
      );
    }
    const controller = new AbortController();
    const forward = session.forward(text(30, 5), { signal: controller.signal });
    const truncated = session.truncate(40);
    controller.abort();
    await expect(forward).rejects.toMatchObject({ code: "aborted" });
    await expect(truncated).rejects.toThrow(/from 0 to 20, found 40/);
    expect(session.n_tokens).toBe(20);
    await session.truncate(20);
  });

  it("a truncate nobody waits for is no unhandled rejection", async () => {
    await using session = await model.session();
    await session.forward(text(20, 4));
    const controller = new AbortController();
    const forward = session.forward(text(30, 5), { signal: controller.signal });
    void session.truncate(45);
    controller.abort();
    await forward.catch(() => {});
    await session.forward([5]);
    expect(session.n_tokens).toBe(21);
  });

  it("dispose comes after what was asked for before", async () => {
    const session = await model.session();
    const forward = session.forward(text(30, 6));
    const truncated = session.truncate(3);
    await session.dispose();
    await expect(forward).resolves.toBeDefined();
    await expect(truncated).resolves.toBeUndefined();
    await expect(session.forward([1])).rejects.toThrow(/need an open one/);
    expect(() => session.truncate(0)).toThrow(/need an open one/);
  });
});

describe("what a session does to others", () => {
  it("nothing: a prefix that it gave up while it was computed is not in anyone's cache", async () => {
    const fresh = await load("capstan-tiny", { device: "wasm" });
    const tokens = text(60, 8);
    const options = { temperature: 0, max_tokens: 5 };
    const expected = await generate(fresh, tokens, options).result;
    const session = await model.session();
    for (let delay = 0; delay < 12; delay++) {
      const forward = session.forward(tokens);
      const other = generate(model, text(9, delay), { ...options, max_tokens: 4 });
      let n = 0;
      for await (const _ of other) if (n++ === delay % 4) void session.truncate(0);
      await forward;
      await session.truncate(0);
      const { text: found, usage } = await generate(model, tokens, options).result;
      expect({ text: found, usable: usage.cached_tokens }).toEqual({ text: expected.text, usable: 48 });
    }
    await session.dispose();
    const { pool, prefixes } = runtimeOf(model).scheduler;
    expect(pool.used).toBe(prefixes.size);
    await fresh.dispose();
  });
});

describe("hook sets", () => {
  const cap = (seed: number): Hook => ({
    kind: "cap",
    site: "blocks.3.hook_resid_post",
    vector: Float32Array.from({ length: 192 }, (_, i) => Math.sin(i * seed + 1)),
    floor: 0.5,
  });

  it("leave nothing behind once nobody uses them", async () => {
    const { scheduler } = runtimeOf(model);
    const use = async (first: number, count: number) => {
      for (let n = 0; n < count; n++) {
        await using session = await model.session({ hooks: [cap(first + n)] });
        if (n % 100 === 0) await session.forward([5, 6, 7]);
      }
    };
    await use(0, 200);
    setFlagsFromString("--expose-gc");
    const gc = runInNewContext("gc") as () => void;
    const heap = () => {
      gc();
      return process.memoryUsage().heapUsed;
    };
    const before = heap();
    await use(1000, 10_000);
    expect(heap() - before).toBeLessThan(2 ** 20);
    expect(scheduler.hook_sets.size).toBe(0);
  });

  it("are kept while sequences use them, by content, and prefixes of them while they are cached", async () => {
    const { scheduler } = runtimeOf(model);
    const [a, b] = [await model.session({ hooks: [cap(1)] }), await model.session({ hooks: [cap(1)] })];
    const fork = await a.fork();
    expect(scheduler.hook_sets.size).toBe(1);
    await a.dispose();
    await a.dispose();
    expect(scheduler.hook_sets.size).toBe(1);
    await b.forward(text(40, 2));
    await b.dispose();
    expect(scheduler.hook_sets.size).toBe(1);
    await fork.dispose();
    expect(scheduler.hook_sets.size).toBe(0);
    const roots = scheduler.prefixes.n_roots;
    expect(roots).toBeGreaterThan(0);
    scheduler.prefixes.evict(scheduler.prefixes.size);
    expect([scheduler.prefixes.n_roots, scheduler.pool.used]).toEqual([0, 0]);
  });
});
