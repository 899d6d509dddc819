import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { memorySource } from "../checkpoint/source/index.ts";
import { FIXTURES, loadFixture } from "./fixtures/fixture.ts";
import { loadModelTokenizer, loadTokenizer } from "./index.ts";

const FILE = FIXTURES.find(({ name }) => name === "qwen")!.file;
const MODEL = FILE.model as Record<string, unknown>;

describe("text", () => {
  test("is plain whatever stands in it, unless parsing is asked for", async () => {
    const tokenizer = await loadFixture("qwen");
    for (const { id, content } of FILE.added_tokens) {
      expect([...tokenizer.encode(content)]).not.toContain(id);
      expect(tokenizer.decode(tokenizer.encode(content))).toBe(content);
      expect([...tokenizer.encode(content, { special: "parse" })]).toEqual([id]);
      expect(tokenizer.tokenId(content)).toBe(id);
    }
    expect(tokenizer.tokenId("the")).toBeUndefined();
  });

  test("is plain even to a vocabulary that holds control tokens and takes whole words", async () => {
    const added = FILE.added_tokens.find(({ special }) => special)!;
    const vocab = MODEL.vocab as Record<string, number>;
    const content = Object.keys(vocab).find((token) => /^[a-z]{4,}$/.test(token))!;
    const word = { ...added, id: vocab[content]!, content };
    const file = { added_tokens: [word], model: { ...MODEL, ignore_merges: true } };
    const tokenizer = await loadFixture("llama", { file });
    expect([...tokenizer.encode(content)]).not.toContain(word.id);
    expect(tokenizer.decode(tokenizer.encode(content))).toBe(content);
    expect([...tokenizer.encode(content, { special: "parse" })]).toEqual([word.id]);
  });

  test("decodes to what was encoded", async () => {
    const tokenizer = await loadFixture("llama");
    const text = fc.string({ unit: "grapheme", maxLength: 60 });
    fc.assert(
      fc.property(text, (one) => {
        expect(tokenizer.decode(tokenizer.encode(one))).toBe(one);
      }),
      { numRuns: 500 },
    );
  });

  test("of nothing is nothing", async () => {
    const tokenizer = await loadFixture("sentencepiece");
    expect([...tokenizer.encode("")]).toEqual([]);
    expect(tokenizer.decode([])).toBe("");
  });

  test("of one long word takes time in proportion", async () => {
    const tokenizer = await loadFixture("qwen");
    for (const part of ["a", "<", " ", "<|im_", "\n", "1"]) {
      const text = part.repeat(Math.ceil(50_000 / part.length));
      expect(tokenizer.decode(tokenizer.encode(text, { special: "parse" }))).toBe(text);
    }
  });

  test("is refused when it is none, as are ids that are none", async () => {
    const tokenizer = await loadFixture("qwen");
    const bad = expect.objectContaining({ code: "bad_request" });
    expect(() => tokenizer.encode(3 as unknown as string)).toThrow(bad);
    const views = [
      Float32Array.of(1),
      Float64Array.of(1),
      new DataView(new ArrayBuffer(4)),
      new ArrayBuffer(4),
    ];
    for (const ids of [undefined, null, 3, "12", {}, () => [1], ...views]) {
      expect(() => tokenizer.decode(ids as unknown as number[])).toThrow(bad);
    }
    for (const id of [-1, 0.5, Number.NaN, tokenizer.size, 2 ** 40, "1", null, undefined, [1]]) {
      expect(() => tokenizer.decode([id as number])).toThrow(bad);
    }
    expect(() => tokenizer.decode([1, -1])).toThrow("-1 at index 1");
    expect(() => tokenizer.decode(BigInt64Array.of(2n ** 62n))).toThrow(bad);
    for (const options of [{ skip_special_tokens: 1 }, { skip: true }, "x"] as object[]) {
      expect(() => tokenizer.decode([1], options)).toThrow(bad);
      expect(() => tokenizer.encode("x", options)).toThrow(bad);
    }
    expect(() => tokenizer.decode([tokenizer.size])).toThrow(`ids from 0 to ${tokenizer.size - 1}`);
  });

  test("comes of ids in any form that holds them", async () => {
    const tokenizer = await loadFixture("qwen");
    const ids = [...tokenizer.encode("Hello there 🙂")];
    const forms = [
      Int32Array.from(ids),
      Uint16Array.from(ids),
      BigInt64Array.from(ids, BigInt),
      new Set(ids).values(),
    ];
    expect(new Set(ids).size).toBe(ids.length);
    for (const form of [ids, ...forms]) expect(tokenizer.decode(form as number[])).toBe("Hello there 🙂");
    expect(tokenizer.decode(ids, null as never)).toBe("Hello there 🙂");
  });

  test("is parsed only where that is asked for in so many letters", async () => {
    const tokenizer = await loadFixture("qwen");
    const { content } = FILE.added_tokens[0]!;
    const plain = [...tokenizer.encode(content)];
    for (const special of [undefined, null, "text"] as const) {
      expect([...tokenizer.encode(content, special === undefined ? {} : { special })]).toEqual(plain);
    }
    for (const special of [false, true, "Text", "PARSE", "", 0, {}] as unknown as "text"[]) {
      expect(() => tokenizer.encode(content, { special })).toThrow(
        expect.objectContaining({
          code: "bad_request",
          message: expect.stringContaining('"text" or "parse"'),
        }),
      );
    }
  });

  test("with half a surrogate pair is text with U+FFFD in its place", async () => {
    const tokenizer = await loadFixture("qwen");
    for (const half of ["\ud800", "\udc00"]) {
      expect([...tokenizer.encode(`a${half}b`)]).toEqual([...tokenizer.encode("a\ufffdb")]);
    }
  });

  test("without a token for it leaves it out, where there is no unk_token", async () => {
    const vocab = { a: 0, b: 1 };
    const source = { model: { type: "BPE", vocab, merges: [] } };
    const tokenizer = await loadTokenizer(memorySource({ "tokenizer.json": JSON.stringify(source) }));
    expect([...tokenizer.encode("abcb")]).toEqual([0, 1, 1]);
    expect(tokenizer.has_chat_template).toBe(false);
    expect(() => tokenizer.renderChat([{ role: "user", content: "a" }])).toThrow("chat_template.jinja");
  });
});

describe("a tokenizer that cannot be had", () => {
  const json = (value: unknown) => memorySource({ "tokenizer.json": JSON.stringify(value) });
  const cases: [string, ReturnType<typeof memorySource>, string, string][] = [
    ["no file", memorySource({}), "tokenizer", "found no such file"],
    [
      "sentencepiece's own file",
      memorySource({ "tokenizer.model": "x" }),
      "tokenizer",
      "tokenizer.model only",
    ],
    ["broken JSON", memorySource({ "tokenizer.json": '{"model": {' }), "bad_file", "need JSON"],
    ["a list", json([]), "bad_file", "a JSON object"],
    ["no model", json({}), "tokenizer", "a model, found null"],
    ["a model nobody knows", json({ model: { type: "Markov", vocab: { a: 0 } } }), "tokenizer", '"Markov"'],
    [
      "Unigram of ids",
      json({ model: { type: "Unigram", vocab: { a: 0 } } }),
      "tokenizer",
      "a list of tokens",
    ],
    [
      "Unigram with an unknown token that is none",
      json({ model: { type: "Unigram", vocab: [["a", -1]], unk_id: 1 } }),
      "tokenizer",
      "unk_id",
    ],
    [
      "WordPiece without its fields",
      json({ model: { type: "WordPiece", vocab: {} } }),
      "tokenizer",
      "unk_token",
    ],
    [
      "WordLevel without its fields",
      json({ model: { type: "WordLevel", vocab: {} } }),
      "tokenizer",
      "unk_token",
    ],
    ["a model without type or merges", json({ model: { vocab: { a: 0 } } }), "tokenizer", "model type null"],
    ["no vocab", json({ model: { type: "BPE", merges: [] } }), "tokenizer", "model.vocab"],
    ["a negative id", json({ model: { type: "BPE", vocab: { a: -1 }, merges: [] } }), "tokenizer", 'for "a"'],
    [
      "an id beyond reason",
      json({ model: { type: "BPE", vocab: { a: 2 ** 40 }, merges: [] } }),
      "tokenizer",
      "id",
    ],
    ["no merges", json({ model: { type: "BPE", vocab: { a: 0 } } }), "tokenizer", "model.merges"],
    [
      "merges of numbers",
      json({ model: { type: "BPE", vocab: { a: 0 }, merges: [[1, 2]] } }),
      "tokenizer",
      "a token's text",
    ],
    [
      "merges of tokens that are not there",
      json({ model: { type: "BPE", vocab: { a: 0 }, merges: ["a b"] } }),
      "tokenizer",
      '"b"',
    ],
    [
      "added tokens without id",
      json({ ...FILE, added_tokens: [{ content: "x" }] }),
      "tokenizer",
      "content and id",
    ],
    [
      "an empty added token",
      json({ ...FILE, added_tokens: [{ content: "", id: 1 }] }),
      "tokenizer",
      "content and id",
    ],
    ["a normalizer nobody knows", json({ ...FILE, normalizer: { type: "Rot13" } }), "tokenizer", "Rot13"],
    [
      "a pre-tokenizer nobody knows",
      json({ ...FILE, pre_tokenizer: { type: "Ouija" } }),
      "tokenizer",
      "Ouija",
    ],
    [
      "a split without its behavior",
      json({ ...FILE, pre_tokenizer: { type: "Split", pattern: { String: " " }, invert: false } }),
      "tokenizer",
      "behavior",
    ],
    [
      "a pattern that is none",
      json({ ...FILE, normalizer: { type: "Replace", pattern: { Regex: "(" }, content: "" } }),
      "tokenizer",
      "Oniguruma",
    ],
    [
      "a decoder with a part that is none",
      json({ ...FILE, decoder: { type: "Sequence", decoders: [null] } }),
      "tokenizer",
      "decoder",
    ],
    [
      "a map of characters that is none",
      json({ ...FILE, normalizer: { type: "Precompiled", precompiled_charsmap: "AAAA" } }),
      "tokenizer",
      "precompiled_charsmap",
    ],
  ];
  test.each(cases)("%s", async (_, source, code, text) => {
    const error: unknown = await loadTokenizer(source).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, message: expect.stringContaining(text) });
    const tokenizer = await loadModelTokenizer(source);
    expect(tokenizer.has_chat_template).toBe(false);
    const same = expect.objectContaining({ code, message: expect.stringContaining(text) });
    expect(() => tokenizer.encode("x")).toThrow(same);
    expect(() => tokenizer.decode([1])).toThrow(same);
    expect(() => tokenizer.encodeChat([{ role: "user", content: "x" }])).toThrow(same);
    expect(() => tokenizer.size).toThrow(same);
  });
});

describe("what stands around a text", () => {
  const template = (single: object[]) => ({ type: "TemplateProcessing", single, special_tokens: {} });
  const [bos, eos] = [{ SpecialToken: { id: "<|begin_of_text|>" } }, { SpecialToken: { id: "<|eot_id|>" } }];
  const sequence = { Sequence: { id: "A", type_id: 0 } };
  const names = { bos_token: { content: "<|begin_of_text|>" }, eos_token: "<|eot_id|>" };
  const framed = { post_processor: template([bos!, sequence]) };
  const B = "<|begin_of_text|>";
  const E = "<|eot_id|>";
  // Right sides from transformers 5.23 (AutoTokenizer of the same files).
  test.each([
    ["nothing", {}, {}, [], []],
    ["the post-processor's", framed, {}, [B], []],
    ["at both ends", { post_processor: template([bos!, sequence, eos!]) }, {}, [B], [E]],
    ["the post-processor's, whatever the config says", framed, { add_bos_token: false, ...names }, [B], []],
    ["nothing without one, whatever the config says", {}, { add_bos_token: true, ...names }, [], []],
    [
      "in a sequence",
      { post_processor: { type: "Sequence", processors: [{ type: "ByteLevel" }, framed.post_processor] } },
      {},
      [B],
      [],
    ],
  ] as [string, object, object, string[], string[]][])("%s", async (_, file, config, before, after) => {
    const tokenizer = await loadFixture("llama", { file, config });
    const ids = (texts: string[]) => texts.map((text) => tokenizer.tokenId(text));
    const text = "Hello <|eot_id|>";
    const plain = [...tokenizer.encode(text)];
    const got = [...tokenizer.encode(text, { add_special_tokens: true })];
    expect(got).toEqual([...ids(before), ...plain, ...ids(after)]);
  });

  test.each([
    [
      "a token that is not there",
      { post_processor: template([{ SpecialToken: { id: "<none>" } }, sequence]) },
    ],
    ["a part that is none", { post_processor: template([{ x: 1 }]) }],
    ["an id that is none", { post_processor: { type: "BertProcessing", cls: ["<none>", -1], sep: null } }],
  ])("%s is refused", async (_, file) => {
    await expect(loadFixture("llama", { file })).rejects.toMatchObject({ code: "tokenizer" });
  });
});
