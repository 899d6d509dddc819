import { describe, expect, test } from "vitest";
import type { Message } from "../types.ts";
import { loadFixture } from "./fixtures/fixture.ts";
import { ChatTemplate } from "./template.ts";

const NOON = new Date(2026, 2, 5, 12, 34, 56);

function render(template: string, variables: Record<string, unknown> = {}): string {
  return new ChatTemplate(template, variables).render([{ role: "user", content: " hi " }], {}, NOON);
}

describe("what the library computes otherwise than Python", () => {
  // Right sides from Python 3.11 with jinja2.
  test.each([
    ["{{ '\n\nab\n'.strip('\n') }}", "ab"],
    ["{{ '  ab  '.strip('\n') }}|", "  ab  |"],
    ["{{ 'xxabyx'.lstrip('x') }}", "abyx"],
    ["{{ 'xyabyx'.rstrip('xy') }}", "xyab"],
    ["{{ 'xyabyx'.strip('yx') }}", "ab"],
    ["{{ ' ab '.strip() }}|", "ab|"],
    ["{{ ' ab '.strip(none) }}|", "ab|"],
    ["{{ '\x1c\x85ab\u2028' | trim }}|", "ab|"],
    ["{{ '\ufeffab' | trim }}|", "\ufeffab|"],
    ["{{ missing | trim }}|", "|"],
    ["{{ '😀a😀'.strip('😀') }}", "a"],
    [
      "{% set t = '<think>\nx\n</think>\n\ny' %}{{ t.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') }}",
      "x",
    ],
    ["{% for m in messages %}{% if m.content.strip('x') == ' hi ' %}yes{% endif %}{% endfor %}", "yes"],
    ["{% macro f(t) %}[{{ t.strip('.') }}]{% endmacro %}{{ f('..a.') }}", "[a]"],
    ["{{ {'k': 'xax'.strip('x')}['k'] }}{{ ['xbx'.strip('x')][0] }}", "ab"],
  ])("%j", (template, text) => {
    expect(render(template)).toBe(text);
  });

  test("strftime_now tells the day in English, as Python's does", () => {
    expect(render("{{ strftime_now('%d %b %Y|%B %-d, %y|%A %a|%H:%M:%S|%I %p|%e|%%|%j') }}")).toBe(
      "05 Mar 2026|March 5, 26|Thursday Thu|12:34:56|12 PM| 5|%|064",
    );
  });
});

describe("what the issue's cases show", () => {
  test("a name set in one turn of a loop is gone in the next", () => {
    const source =
      "{% for m in [1, none, 2] %}{% if m is not none %}{% set r = m %}{% endif %}<{{ r if r is defined }}>{% endfor %}";
    expect(render(source)).toBe("<1><><2>");
  });

  test("CRLF and CR end lines as LF does", () => {
    const source = "{% if true %}\r\na\r\n{% endif %}\r\nb\rc\r\n";
    expect(render(source)).toBe("a\nb\nc");
  });
});

describe("variables", () => {
  test("are those that transformers passes", () => {
    const template =
      "{{ 'no tools' if tools is none }} {{ documents is none }} {{ bos_token }}|{{ eos_token }}|";
    expect(render(template, { bos_token: "<s>" })).toBe("no tools True <s>||");
  });

  test("may be given with the call, also over the tokenizer's", () => {
    const source = "{{ bos_token }}{{ 'fast' if enable_thinking is false }}{{ tools is none }}";
    const template = new ChatTemplate(source, { bos_token: "<s>" });
    const args = { bos_token: "<b>", enable_thinking: false, tools: undefined };
    expect(template.render([], args as never, NOON)).toBe("<b>fastTrue");
  });

  test("of special tokens come as text or as objects", async () => {
    const tokenizer = await loadFixture("qwen", {
      template: "{{ bos_token }}{{ eos_token }}",
      config: { bos_token: { content: "<|endoftext|>", lstrip: false }, eos_token: "<|im_end|>" },
    });
    const chat = [{ role: "user", content: "x" }];
    expect(tokenizer.renderChat(chat)).toBe("<|endoftext|><|im_end|>");
    const ids = ["<|endoftext|>", "<|im_end|>"].map((text) => tokenizer.tokenId(text));
    expect([...tokenizer.encodeChat(chat).tokens]).toEqual(ids);
  });
});

describe("templates", () => {
  const chat: Message[] = [{ role: "user", content: "x" }];

  test("of a file of their own go before the config's", async () => {
    const tokenizer = await loadFixture("qwen", { template: "config", jinja: "file" });
    expect(tokenizer.renderChat(chat)).toBe("file");
  });

  test("may be several, one of them for tools", async () => {
    const templates = [
      { name: "default", template: "plain" },
      { name: "tool_use", template: "tools" },
    ];
    const tokenizer = await loadFixture("qwen", { config: { chat_template: templates } });
    expect(tokenizer.renderChat(chat)).toBe("plain");
    expect(tokenizer.renderChat(chat, { tools: [{}] })).toBe("tools");
  });

  test("of files of their own may be several too", async () => {
    const tokenizer = await loadFixture("qwen", { template: "config", jinja: "file", tool_use: "tools" });
    expect(tokenizer.renderChat(chat)).toBe("file");
    expect(tokenizer.renderChat(chat, { tools: [{}] })).toBe("tools");
  });

  test("open the assistant's turn unless it has begun", async () => {
    const tokenizer = await loadFixture("llama");
    const opening = "<|start_header_id|>assistant<|end_header_id|>\n\n";
    expect(tokenizer.renderChat(chat).endsWith(opening)).toBe(true);
    expect(tokenizer.renderChat(chat, { add_generation_prompt: false }).endsWith(opening)).toBe(false);
    const begun = [...chat, { role: "assistant", content: "y" }];
    expect(tokenizer.renderChat(begun).endsWith("y<|eot_id|>")).toBe(true);
  });

  test("that are no jinja fail when they are used, not before", async () => {
    const tokenizer = await loadFixture("qwen", { template: "{% for %}" });
    expect([...tokenizer.encode("x")]).toHaveLength(1);
    expect(() => tokenizer.renderChat(chat)).toThrow(expect.objectContaining({ code: "tokenizer" }));
  });

  test("that fail or refuse tell why", () => {
    const bad = (text: string) =>
      expect.objectContaining({ code: "bad_request", message: expect.stringContaining(text) });
    expect(() => render("{{ raise_exception('roles must alternate') }}")).toThrow(
      bad("roles must alternate"),
    );
    expect(() => render("{{ messages.nope() }}")).toThrow(bad("need messages and arguments"));
  });
});
