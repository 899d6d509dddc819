import { describe, expect, test } from "vitest";
import { FIXTURES, loadFixture } from "./fixtures/fixture.ts";
import { streamDecoder } from "./index.ts";

/** Against what Python's tokenizers and transformers make of the same texts and chats (fixtures/make.py). */
describe.each(FIXTURES)("$name", (fixture) => {
  test("encodes and decodes texts as Python does", async () => {
    const tokenizer = await loadFixture(fixture.name);
    for (const { text, parse, plain = parse, decoded = text, skipped = decoded } of fixture.texts) {
      const shown = JSON.stringify(text);
      expect([...tokenizer.encode(text, { special: "parse" })], `parse ${shown}`).toEqual(parse);
      expect([...tokenizer.encode(text)], `text ${shown}`).toEqual(plain);
      expect(tokenizer.decode(parse), `decode ${shown}`).toBe(decoded);
      expect(tokenizer.decode(parse, { skip_special_tokens: true }), `skip ${shown}`).toBe(skipped);
    }
    for (const { ids, decoded } of fixture.bytes) expect(tokenizer.decode(ids), String(ids)).toBe(decoded);
  });

  test("renders and encodes chats as Python does", async () => {
    const tokenizer = await loadFixture(fixture.name);
    for (const { messages, args, rendered, ids } of fixture.chats) {
      const shown = JSON.stringify({ messages, args });
      expect(tokenizer.renderChat(messages, args), shown).toBe(rendered);
      expect([...tokenizer.encodeChat(messages, args).tokens], shown).toEqual(ids);
    }
  });

  test("streams what it decodes", async () => {
    const tokenizer = await loadFixture(fixture.name);
    for (const { ids } of [...fixture.texts.map(({ parse }) => ({ ids: parse })), ...fixture.bytes]) {
      const stream = streamDecoder(tokenizer);
      const parts = [...ids].map((id) => stream.push(id));
      expect([...parts, stream.flush()].join(""), String(ids)).toBe(tokenizer.decode(ids));
    }
  });
});
