import { describe, expect, test } from "vitest";
import { memorySource } from "../checkpoint/source/index.ts";
import { loadFixture } from "./fixtures/fixture.ts";
import { loadTokenizer } from "./index.ts";

describe("what runs for ever or breaks ends in one clear error", () => {
  const refused = expect.objectContaining({ code: "tokenizer" });

  test("a pattern that takes time without end", async () => {
    const split = { type: "Split", pattern: { Regex: "(a+)+\\1b" }, behavior: "Isolated", invert: false };
    const tokenizer = await loadFixture("qwen", { file: { pre_tokenizer: split } });
    expect(() => tokenizer.encode("a".repeat(60))).toThrow("gets through in time");
    expect(tokenizer.decode(tokenizer.encode("aab"))).toBe("aab");
  });

  test("a pattern whose every search ends, but of which there are too many", async () => {
    const split = {
      type: "Split",
      pattern: { Regex: "(?:(a+)+\\1b)?." },
      behavior: "Isolated",
      invert: false,
    };
    const tokenizer = await loadFixture("qwen", { file: { pre_tokenizer: split } });
    expect(() => tokenizer.encode(`${"a".repeat(21)}c`.repeat(50))).toThrow("gets through in time");
    expect(tokenizer.decode(tokenizer.encode("aab"))).toBe("aab");
  });

  test("patterns that take minutes to compile", async () => {
    const Regex = "\\b(?=.)".repeat(1800);
    const split = { type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false };
    await expect(loadFixture("qwen", { file: { pre_tokenizer: split } })).rejects.toThrow(
      "65536 bytes together",
    );
  });

  test("words that a vocabulary is searched for from every letter to the end", async () => {
    const long = "a".repeat(40_000);
    const models = [
      {
        type: "Unigram",
        unk_id: 0,
        vocab: [
          ["?", -9],
          ["a", -1],
          [`${long}b`, -1],
        ],
      },
      {
        type: "WordPiece",
        unk_token: "?",
        continuing_subword_prefix: "",
        max_input_chars_per_word: 1e9,
        vocab: { "?": 0, a: 1, [`${long}b`]: 2 },
      },
    ];
    for (const model of models) {
      const source = memorySource({ "tokenizer.json": JSON.stringify({ model }) });
      const tokenizer = await loadTokenizer(source);
      expect(() => tokenizer.encode(long)).toThrow("gets through in time");
      expect([...tokenizer.encode("aa")]).toEqual([1, 1]);
    }
  });

  test("parts that make a text grow a thousandfold and more", async () => {
    const replace = { type: "Replace", pattern: { String: "a" }, content: "aaaaaaaaaa" };
    const normalizer = { type: "Sequence", normalizers: Array.from({ length: 20 }, () => replace) };
    const tokenizer = await loadFixture("qwen", { file: { normalizer } });
    expect(() => tokenizer.encode("aaa")).toThrow(expect.objectContaining({ code: "out_of_memory" }));
    expect(tokenizer.decode(tokenizer.encode("bcd"))).toBe("bcd");
  });

  test("parts that trap, after which other texts are encoded as before", async () => {
    // A map of 128 characters: the crate looks up the bytes beyond them, too.
    const charsmap = new Uint8Array(4 + 4 * 128 + 1);
    new DataView(charsmap.buffer).setUint32(0, 4 * 128, true);
    const normalizer = {
      type: "Precompiled",
      precompiled_charsmap: Buffer.from(charsmap).toString("base64"),
    };
    const tokenizer = await loadFixture("qwen", { file: { normalizer } });
    const ids = [...tokenizer.encode("abc")];
    for (let i = 0; i < 3; i++) {
      expect(() => tokenizer.encode("é")).toThrow(refused);
      expect([...tokenizer.encode("abc")]).toEqual(ids);
      expect(tokenizer.decode(ids)).toBe("abc");
    }
  });

  test("parts of parts without end", async () => {
    let pre_tokenizer: object = { type: "Digits", individual_digits: true };
    for (let i = 0; i < 60; i++) pre_tokenizer = { type: "Sequence", pretokenizers: [pre_tokenizer] };
    await expect(loadFixture("qwen", { file: { pre_tokenizer } })).rejects.toThrow("at most 50 deep");
  });

  test("a tokenizer that was disposed of", async () => {
    const tokenizer = await loadFixture("qwen");
    tokenizer.dispose();
    tokenizer.dispose();
    expect(() => tokenizer.encode("a")).toThrow("disposed of");
    expect(() => tokenizer.decode([1])).toThrow(refused);
    await expect(loadFixture("qwen")).resolves.toBeDefined();
  });
});
