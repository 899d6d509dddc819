import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runtimeOf } from "../../testing/runtime_of.ts";
import type { Model, Reply } from "../types.ts";
import { generate } from "./generate.ts";
import { load } from "./load.ts";

let model: Model;
beforeAll(async () => {
  model = await load("capstan-tiny", { device: "wasm" });
});
afterAll(() => model.dispose());

/** A reply of 300 tokens, if it is let. */
const long = (changes = {}): Reply =>
  generate(model, [300, 310, 320], { temperature: 0, max_tokens: 300, logit_bias: { 2: -99 }, ...changes });

const idle = async () => {
  const { pool, prefixes } = runtimeOf(model).scheduler;
  expect(pool.used).toBe(prefixes.size);
};

describe("a reply that nobody reads to its end", () => {
  it("ends when a reader breaks off, and its result is the text so far", async () => {
    const reply = long();
    let text = "";
    let n = 0;
    for await (const token of reply) {
      text += token.text;
      if (++n === 7) break;
    }
    const { finish_reason, usage, tokens, ...result } = await reply.result;
    expect(finish_reason).toBe("abort");
    expect(tokens.length).toBe(usage.completion_tokens);
    expect([tokens.length >= 7, tokens.length < 20]).toEqual([true, true]);
    expect(result.text.startsWith(text)).toBe(true);
    await idle();
  });

  it("ends when a stream over it is destroyed before the first read", async () => {
    const reply = long();
    Readable.from(reply).destroy();
    const { finish_reason, tokens } = await reply.result;
    expect(finish_reason).toBe("abort");
    expect(tokens.length).toBeLessThan(20);
    await idle();
  });

  it("ends when an iterator that never started returns, and once for all", async () => {
    const reply = long();
    const iterator = reply[Symbol.asyncIterator]();
    expect(await iterator.return?.()).toEqual({ done: true, value: undefined });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    expect(await iterator.return?.()).toEqual({ done: true, value: undefined });
    expect((await reply.result).finish_reason).toBe("abort");
  });

  it("ends where the reader's own code throws, with that error for the reader", async () => {
    const reply = long();
    const read = async () => {
      for await (const _ of reply) throw new Error("the reader's own");
    };
    await expect(read()).rejects.toThrow("the reader's own");
    expect((await reply.result).finish_reason).toBe("abort");
  });

  it("gives a second reader what there was", async () => {
    const reply = long();
    const second = (async () => {
      const ids = [];
      for await (const { id } of reply) ids.push(id);
      return ids;
    })();
    for await (const _ of reply) break;
    expect(await second).toEqual([...(await reply.result).tokens]);
  });

  it("keeps a mean of what there was", async () => {
    const site = "blocks.3.hook_resid_post";
    const reply = long({ mean: [site] });
    let n = 0;
    for await (const _ of reply) if (++n === 3) break;
    const { means, tokens } = await reply.result;
    expect(tokens.length).toBeGreaterThanOrEqual(3);
    expect(means[site]?.some((x) => x !== 0)).toBe(true);
    await idle();
  });

  it("rejects where the caller's own signal aborted it, whoever reads", async () => {
    const controller = new AbortController();
    const reply = long({ signal: controller.signal });
    for await (const _ of reply) {
      controller.abort();
      break;
    }
    await expect(reply.result).rejects.toMatchObject({ code: "aborted" });
    const before = long({ signal: AbortSignal.abort() });
    await expect(before.result).rejects.toMatchObject({ code: "aborted" });
    await expect(before[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "aborted" });
    await idle();
  });

  it("is as it would be when the reader leaves after the last token", async () => {
    const whole = await long({ max_tokens: 5 }).result;
    const reply = long({ max_tokens: 5 });
    let n = 0;
    for await (const _ of reply) if (++n === 5) break;
    expect((await reply.result).text).toBe(whole.text);
  });
});

describe("the pieces of a reply", () => {
  // Hot, and fond of bytes that are parts of characters: each reply ends somewhere in them.
  const fond = () => {
    const ids = Array.from({ length: model.tokenizer.size }, (_, id) => id);
    const parts = ids.filter((id) => model.tokenizer.decode([id]) === "\ufffd");
    return Object.fromEntries([[2, -99], ...parts.map((id) => [id, 15])]);
  };
  const drawn = (changes = {}) =>
    long({ temperature: 5, logit_bias: fond(), stop: ["zz", "\ufffd\ufffd", "e\ufffd"], ...changes });

  it("joined are its text, wherever and however it ends", async () => {
    let n_broken = 0;
    const ends = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      const without = seed % 3 === 0 ? { stop: [] } : {};
      const reply = drawn({ seed, max_tokens: 1 + (seed % 40), ...without });
      const leaves_after = seed % 5 === 0 ? 1 + (seed % 7) : Number.POSITIVE_INFINITY;
      const pieces: string[] = [];
      for await (const { text } of reply) if (pieces.push(text) >= leaves_after) break;
      const rest: string[] = [];
      for await (const { text } of reply) rest.push(text);
      const { text, tokens, finish_reason } = await reply.result;
      expect(pieces.length <= leaves_after && text.startsWith(pieces.join(""))).toBe(true);
      if (leaves_after > tokens.length) expect(pieces.join("")).toBe(text);
      expect(rest.join("")).toBe(text);
      if (finish_reason !== "stop") {
        expect(text).toBe(model.tokenizer.decode(tokens, { skip_special_tokens: true }));
      }
      ends.add(finish_reason);
      n_broken += Number(text.endsWith("\ufffd"));
    }
    expect([...ends].sort()).toEqual(["abort", "length", "stop"]);
    expect(n_broken).toBeGreaterThan(3);
  });
});

describe("reads asked for at once", () => {
  it("are answered in order", async () => {
    const reply = long({ max_tokens: 6 });
    const iterator = reply[Symbol.asyncIterator]();
    const asked = Array.from({ length: 9 }, () => iterator.next());
    const found = await Promise.all(asked);
    expect(found.map(({ done }) => done ?? false)).toEqual([...Array(6).fill(false), true, true, true]);
    expect(found.slice(0, 6).map(({ value }) => value?.id)).toEqual([...(await reply.result).tokens]);
  });
});

describe("what a caller gives", () => {
  it("is copied at the call: arrays filled again change nothing", async () => {
    const prompt = Int32Array.of(300, 310, 320, 330);
    const vector = Float32Array.from({ length: 192 }, (_, i) => Math.sin(i));
    const stop = ["zzz"];
    const options = {
      temperature: 0,
      max_tokens: 12,
      stop,
      logit_bias: { 2: -99 } as Record<number, number>,
    };
    const hooks = [{ kind: "cap", site: "blocks.2.hook_resid_post", vector, floor: 2 } as const];
    const expected = await generate(model, [...prompt], { ...options, hooks }).result;
    const reply = generate(model, prompt, { ...options, hooks });
    const forward = model.forward(prompt);
    const session = await model.session();
    const in_session = session.forward(prompt);
    prompt.fill(1_000_000);
    vector.fill(0);
    stop[0] = " ";
    options.logit_bias[2] = 99;
    expect((await reply.result).text).toBe(expected.text);
    const { logits } = await model.forward([300, 310, 320, 330]);
    expect((await forward).logits).toEqual(logits);
    expect((await in_session).logits).toEqual(logits);
    await session.dispose();
  });

  it("may be ids in any array of integers", async () => {
    const ids = [30, 31, 32, 33];
    const options = { temperature: 0, max_tokens: 4 };
    const { tokens } = await generate(model, ids, options).result;
    const { logits } = await model.forward(ids);
    for (const kind of [Int8Array, Uint8Array, Int16Array, Uint16Array, Int32Array, Uint32Array]) {
      expect((await generate(model, kind.from(ids), options).result).tokens).toEqual(tokens);
      expect((await model.forward(kind.from(ids))).logits).toEqual(logits);
    }
    const big = BigInt64Array.from(ids, BigInt);
    expect((await generate(model, big, options).result).tokens).toEqual(tokens);
    expect((await model.forward(big)).logits).toEqual(logits);
  });

  it.each([
    [Float32Array.of(1, 2), /found a Float32Array/],
    [new Float64Array(2), /found a Float64Array/],
    [BigInt64Array.of(1n, -5n), /token ids from 0 to \d+, found -5 at index 1/],
    [Uint32Array.of(4_000_000_000), /found 4000000000 at index 0/],
    [[1, 2.5], /found 2.5 at index 1/],
    [[1, "2"], /found "2" at index 1/],
    [[1, null], /found null at index 1/],
    [[1n, 2n ** 80n], /at index 1/],
    [new Int32Array(0), /at least one/],
    [new Map(), /found/],
    [7, /found 7/],
    [null, /found null/],
  ])("%o is refused", async (prompt, message) => {
    expect(() => generate(model, prompt as number[])).toThrow(message);
    await expect(model.forward(prompt as number[])).rejects.toMatchObject({ code: "bad_request" });
  });
});
