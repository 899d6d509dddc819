import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { memorySource } from "../source/index.ts";
import type { Message, TemplateArgs, Tokenizer } from "../types.ts";
import { loadTokenizer, streamDecoder } from "./index.ts";

/**
 * Against what Python's tokenizers and transformers make of the same texts and chats (fixtures/make.py).
 * CAPSTAN_TOKENIZER_CASES names a larger file made with `--texts` and `--chats`.
 */
interface Case {
  name: string;
  file: object;
  template: string;
  config: object;
  texts: { text: string; parse: number[]; plain?: number[]; decoded?: string; skipped?: string }[];
  bytes: { ids: number[]; decoded: string }[];
  chats: { messages: Message[]; args: TemplateArgs; rendered: string; ids: number[] }[];
}

const path = process.env.CAPSTAN_TOKENIZER_CASES ?? join(import.meta.dirname, "fixtures", "python.jsonl");
const lines = readFileSync(path, "utf8").trimEnd().split("\n");
const cases = lines.map((line): Case => JSON.parse(line));

function load({ file, template, config }: Case): Promise<Tokenizer> {
  return loadTokenizer(
    memorySource({
      "tokenizer.json": JSON.stringify(file),
      "tokenizer_config.json": JSON.stringify({ ...config, chat_template: template }),
    }),
  );
}

describe.each(cases)("$name", (one) => {
  test("encodes and decodes texts as Python does", async () => {
    const tokenizer = await load(one);
    for (const { text, parse, plain = parse, decoded = text, skipped = decoded } of one.texts) {
      const shown = JSON.stringify(text);
      expect([...tokenizer.encode(text, { special: "parse" })], `parse ${shown}`).toEqual(parse);
      expect([...tokenizer.encode(text)], `text ${shown}`).toEqual(plain);
      expect(tokenizer.decode(parse), `decode ${shown}`).toBe(decoded);
      expect(tokenizer.decode(parse, { skip_special_tokens: true }), `skip ${shown}`).toBe(skipped);
    }
    for (const { ids, decoded } of one.bytes) expect(tokenizer.decode(ids), String(ids)).toBe(decoded);
  });

  test("renders and encodes chats as Python does", async () => {
    const tokenizer = await load(one);
    for (const { messages, args, rendered, ids } of one.chats) {
      const shown = JSON.stringify({ messages, args });
      expect(tokenizer.renderChat(messages, args), shown).toBe(rendered);
      expect([...tokenizer.encodeChat(messages, args).tokens], shown).toEqual(ids);
    }
  });

  test("streams what it decodes", async () => {
    const tokenizer = await load(one);
    for (const { ids } of [...one.texts.map(({ parse }) => ({ ids: parse })), ...one.bytes]) {
      const stream = streamDecoder(tokenizer);
      const parts = [...ids].map((id) => stream.push(id));
      expect([...parts, stream.flush()].join(""), String(ids)).toBe(tokenizer.decode(ids));
    }
  });
});
