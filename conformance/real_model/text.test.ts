import { beforeAll, describe, expect, it } from "vitest";
import { loadTokenizer, type Message, type TemplateArgs, type Tokenizer } from "../../sdk/index.ts";
import { lacks, real_model } from "../../testing/parts.ts";
import { records } from "../../testing/real_model.ts";

/** Its tokenizer and its chat template against `tokenizers` and transformers (chats.py, strings.py). */
describe.skipIf(lacks("real-model"))("SmolLM2-135M-Instruct's text", () => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await loadTokenizer(real_model);
  });

  it("encodes 300 strings of many scripts as the official tokenizer does, as text and parsed", () => {
    const strings = records<{ text: string; ids: number[]; parse?: number[] }>("strings");
    const failed = strings.flatMap(({ text, ids, parse = ids }) => {
      const got = [tokenizer.encode(text), tokenizer.encode(text, { special: "parse" })];
      const is_same = `${ids} ${parse}` === got.join(" ");
      return is_same
        ? []
        : [`${JSON.stringify(text)}: need ${ids} (parsed ${parse}), found ${got.join(" (parsed ")})`];
    });
    expect(failed).toEqual([]);
    expect(strings.length).toBe(300);
    expect(strings.filter(({ parse }) => parse !== undefined).length).toBeGreaterThan(30);
  });

  it("decodes them to themselves", () => {
    for (const { text, ids, parse = ids } of records<{ text: string; ids: number[]; parse?: number[] }>(
      "strings",
    )) {
      expect(tokenizer.decode(ids)).toBe(text);
      expect(tokenizer.decode(parse)).toBe(text);
    }
  });

  it("decodes ids that begin or end within a character, or that no text gives", () => {
    const decodings = records<{ ids: number[]; decoded: string; skipped?: string }>("decodings");
    for (const { ids, decoded, skipped = decoded } of decodings) {
      expect(tokenizer.decode(ids), `${ids}`).toBe(decoded);
      expect(tokenizer.decode(ids, { skip_special_tokens: true }), `${ids}`).toBe(skipped);
    }
    expect(decodings.filter(({ decoded }) => decoded.includes("\ufffd")).length).toBeGreaterThan(10);
    expect(decodings.filter(({ skipped }) => skipped !== undefined).length).toBeGreaterThan(10);
  });

  const chats = records<{ messages: Message[]; args: TemplateArgs; rendered: string; ids: number[] }>(
    "chats",
  );
  it.each(chats)("renders and encodes chat %# as transformers does: $messages.0.content", (chat) => {
    const { messages, args, rendered, ids } = chat;
    expect(tokenizer.renderChat(messages, args)).toBe(rendered);
    const { tokens, spans } = tokenizer.encodeChat(messages, args);
    expect([...tokens]).toEqual(ids);
    expect(spans.map(({ role, turn }) => ({ role, turn }))).toEqual(
      messages.map(({ role }, turn) => ({ role, turn })),
    );
    for (const { turn, start, end } of spans) {
      expect(tokenizer.decode(tokens.subarray(start, end))).toContain(String(messages[turn]!.content).trim());
    }
  });
});
