import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { memorySource } from "../../checkpoint/source/index.ts";
import { FIXTURES, loadFixture } from "../fixtures/fixture.ts";
import { loadTokenizer, streamDecoder } from "../index.ts";

describe("streams", () => {
  test.each(FIXTURES.map(({ name }) => name))("of any ids join to what %s decodes", async (name) => {
    const tokenizer = await loadFixture(name);
    const ids = fc.array(fc.nat(tokenizer.size - 1), { maxLength: 24 });
    fc.assert(
      fc.property(ids, fc.boolean(), (list, skip_special_tokens) => {
        const stream = streamDecoder(tokenizer, { skip_special_tokens });
        const text = list.map((id) => stream.push(id)).join("") + stream.flush();
        expect(text).toBe(tokenizer.decode(list, { skip_special_tokens }));
      }),
      { numRuns: 300 },
    );
  });

  test("never give out half a character", async () => {
    const tokenizer = await loadFixture("qwen");
    const stream = streamDecoder(tokenizer);
    const parts = [...tokenizer.encode("a👩‍👩‍👧b今天")].map((id) => stream.push(id));
    expect(parts.join("")).toBe("a👩‍👩‍👧b今天");
    for (const part of parts) expect(part).not.toContain("\ufffd");
    expect(stream.flush()).toBe("");
  });

  test("take ids beyond the tokenizer's as no text: models have spare rows", async () => {
    const tokenizer = await loadFixture("qwen");
    const stream = streamDecoder(tokenizer);
    expect(stream.push(tokenizer.size + 7)).toBe("");
    expect(stream.flush()).toBe("");
  });
});

describe("streams of bytes", () => {
  test("that more than one token has, or that are written in lower case", async () => {
    // "}" twice, and the two bytes of "é".
    const vocab = ["?", "<0x7D>", "<0x7D>", "<0xc3>", "<0xA9>", "a"].map((token) => [token, -1]);
    const file = { model: { type: "Unigram", unk_id: 0, vocab }, decoder: { type: "ByteFallback" } };
    const tokenizer = await loadTokenizer(memorySource({ "tokenizer.json": JSON.stringify(file) }));
    for (const ids of [
      [1, 4],
      [2, 4],
      [2, 3, 4],
      [3, 4, 5],
      [5, 3, 5],
      [1, 2, 3],
    ]) {
      const stream = streamDecoder(tokenizer);
      const text = ids.map((id) => stream.push(id)).join("") + stream.flush();
      expect(text).toBe(tokenizer.decode(ids));
    }
  });
});
