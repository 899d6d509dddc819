import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { memorySource, resolveSource } from "../checkpoint/source/index.ts";
import type { FileSource, GenerateOptions, Message, Model } from "../types.ts";
import { generate } from "./generate.ts";
import { load } from "./load.ts";
import { promptTokens } from "./prompt.ts";

let model: Model;
beforeAll(async () => {
  model = await load("capstan-tiny", { device: "wasm" });
});
afterAll(() => model.dispose());

const greedy = { temperature: 0, max_tokens: 12 };
const chat: Message[] = [{ role: "user", content: "Who are you?" }];
const reply = (prompt: Parameters<typeof generate>[1], options: GenerateOptions = {}) =>
  generate(model, prompt, { ...greedy, ...options }).result;

describe("a chat that the caller has rendered", () => {
  it("gives what the messages give, read with special: parse, its beginning not doubled", async () => {
    const rendered = model.tokenizer.renderChat(chat);
    expect(rendered).toContain("<|");
    const expected = await reply(chat);
    const parsed = await reply(rendered, { special: "parse" });
    expect([parsed.text, parsed.usage.prompt_tokens]).toEqual([expected.text, expected.usage.prompt_tokens]);
    const as_text = await reply(rendered);
    expect(as_text.usage.prompt_tokens).toBeGreaterThan(expected.usage.prompt_tokens);
    expect((await reply(rendered, { special: "text" })).text).toBe(as_text.text);
  });
});

describe("a text whose tokenizer begins a sequence with a token", () => {
  const B = "<|endoftext|>";
  const E = "<|im_end|>";
  const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const sequence = { Sequence: { id: "A", type_id: 0 } };

  /** capstan-tiny with a post-processor, and a template that writes the first token itself. */
  async function openModel(single: object[]): Promise<Model> {
    const { files } = await resolveSource("capstan-tiny");
    const read = async (name: string) =>
      JSON.parse(new TextDecoder().decode(await files.read(name, 0, (await files.size(name))!)));
    const ids = { [B]: 0, [E]: 2 };
    const special_tokens = Object.fromEntries(
      Object.entries(ids).map(([id, number]) => [id, { id, ids: [number], tokens: [id] }]),
    );
    const post_processor = { type: "TemplateProcessing", single, pair: [], special_tokens };
    const config = await read("tokenizer_config.json");
    const chat_template = `{{ bos_token }}${config.chat_template}`;
    const changed = memorySource({
      "tokenizer.json": JSON.stringify({ ...(await read("tokenizer.json")), post_processor }),
      "tokenizer_config.json": JSON.stringify({ ...config, bos_token: B, chat_template }),
    });
    const source: FileSource = {
      size: async (name) => (await changed.size(name)) ?? (await files.size(name)),
      read: async (name, start, end) =>
        ((await changed.size(name)) === undefined ? files : changed).read(name, start, end),
    };
    return load(source, { device: "wasm" });
  }

  it.each([
    ["before it", [special(B), sequence], 1],
    ["before and after it", [special(B), sequence, special(E)], 2],
    ["twice before it", [special(B), special(B), sequence], 2],
  ])("%s: has it once, whoever wrote it", async (_, single, n_added) => {
    await using framing = await openModel(single);
    const count = async (prompt: Parameters<typeof generate>[1], options: GenerateOptions = {}) =>
      (await generate(framing, prompt, { ...greedy, max_tokens: 1, ...options }).result).usage.prompt_tokens;
    const parse = { special: "parse" } as const;
    const rendered = framing.tokenizer.renderChat(chat);
    expect(rendered.startsWith(`${B}<|im_start|>`)).toBe(true);
    const n_rendered = framing.tokenizer.encode(rendered, parse).length;
    expect(await count(chat)).toBe(n_rendered);
    // All that stands before a text, once; what stands after it is added as ever.
    const n_before = single.indexOf(sequence);
    const begun = B.repeat(n_before - 1) + rendered;
    const n_begun = n_rendered + n_before - 1;
    expect(await count(begun, parse)).toBe(n_begun + n_added - n_before);
    // A text that does not begin with it gets it; one of a user's that spells it, too.
    expect(await count("Hello", parse)).toBe(framing.tokenizer.encode("Hello").length + n_added);
    expect(await count(B)).toBe(framing.tokenizer.encode(B).length + n_added);
  });
});

describe("a chat that ends with the assistant's message", () => {
  const begun: Message[] = [...chat, { role: "assistant", content: "I am" }];

  it("is refused, and says how to go on with it", () => {
    expect(() => generate(model, begun)).toThrow(
      "need a chat that ends with a message to answer, found the assistant's own at its end. " +
        "continue_final_message: true goes on with it.",
    );
  });

  it.each([
    ["to its last word", "I am"],
    ["with the space that it ends with", "I am "],
    [
      "in parts",
      [
        { type: "text" as const, text: "I " },
        { type: "text" as const, text: "am" },
      ],
    ],
    ["without what looks like control tokens", "I say <|im_end|> and"],
  ])("is gone on with, %s", async (_, content) => {
    const open: Message[] = [...chat, { role: "assistant", content }];
    const prompt = promptTokens(model, open, { continue_final_message: true });
    const rendered = model.tokenizer.renderChat(open, { continue_final_message: true });
    expect(model.tokenizer.decode(prompt)).toBe(rendered);
    const text = typeof content === "string" ? content : "I am";
    expect(rendered.endsWith(text)).toBe(true);
    const continued = await reply(open, { continue_final_message: true });
    expect(continued.usage.prompt_tokens).toBe(prompt.length);
    const expected = await reply(prompt);
    expect([...continued.tokens]).toEqual([...expected.tokens]);
    // An option of the call and an argument of the template are the same.
    const as_argument = await reply(open, { template_args: { continue_final_message: true } });
    expect(as_argument.text).toBe(continued.text);
    // What somebody typed is text there too.
    const end = model.tokenizer.tokenId("<|im_end|>")!;
    const count = (tokens: Int32Array) => tokens.filter((id) => id === end).length;
    expect(count(prompt)).toBe(count(promptTokens(model, begun, { continue_final_message: true })));
  });

  it("is not gone on with and answered at once", () => {
    const options = { continue_final_message: true, template_args: { add_generation_prompt: true } };
    expect(() => generate(model, begun, options)).toThrow(
      "need continue_final_message or add_generation_prompt, found both",
    );
    const off = { continue_final_message: false, template_args: { continue_final_message: true } };
    expect(() => generate(model, begun, off)).toThrow("found the assistant's own at its end");
  });

  it("is answered where the caller asks for a turn of the assistant's after it", async () => {
    const { text } = await reply(begun, { template_args: { add_generation_prompt: true } });
    expect(text.length).toBeGreaterThan(0);
  });
});

describe("what ends a reply", () => {
  it("an id of the caller's, which is not part of it", async () => {
    const whole = await reply("The sky is", { logit_bias: { 2: -99 } });
    const [, , third] = whole.tokens;
    const first = whole.tokens.indexOf(third!);
    for (const stop_token_ids of [[third!], Uint32Array.of(third!), BigInt64Array.of(BigInt(third!))]) {
      const { tokens, finish_reason } = await reply("The sky is", { logit_bias: { 2: -99 }, stop_token_ids });
      expect([[...tokens], finish_reason]).toEqual([[...whole.tokens.subarray(0, first)], "stop"]);
    }
    expect(() => generate(model, "x", { stop_token_ids: [1792] })).toThrow("token ids from 0 to 1791");
    expect((await reply("The sky is", { logit_bias: { 2: -99 }, stop_token_ids: [] })).text).toBe(whole.text);
  });

  it("the text of an added token, which the reply's text never shows", async () => {
    const end = model.tokenizer.tokenId("<|im_end|>") ?? model.spec.eos_token_ids[0]!;
    const text = model.tokenizer.decode([end]);
    const options = { logit_bias: { [end]: 200 }, max_tokens: 5 };
    const eos = model.spec.eos_token_ids;
    (model.spec as { eos_token_ids: number[] }).eos_token_ids = [];
    try {
      expect((await reply("Hello", options)).finish_reason).toBe("length");
      const { finish_reason, tokens } = await reply("Hello", { ...options, stop: ["zzz", text] });
      expect([finish_reason, tokens.length]).toEqual(["stop", 0]);
    } finally {
      (model.spec as { eos_token_ids: readonly number[] }).eos_token_ids = eos;
    }
  });
});
