import { describe, expect, test } from "vitest";
import type { Message } from "../../types.ts";
import { loadFixture } from "../fixtures/fixture.ts";
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

  test("that are null are absent", async () => {
    const template = "{{ enable_thinking is defined }}{{ tools is none }}{{ add_generation_prompt }}";
    const templates = [
      { name: "default", template },
      { name: "tool_use", template: "tools" },
    ];
    const tokenizer = await loadFixture("qwen", { config: { chat_template: templates } });
    const args = {
      enable_thinking: null,
      tools: null,
      add_generation_prompt: null,
      continue_final_message: null,
    };
    expect(tokenizer.renderChat([{ role: "user", content: "x" }], args as never)).toBe("FalseTrueTrue");
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

  test("say at which line they fail", () => {
    const fault = (source: string, message: string, code = "bad_request") =>
      expect(() => render(source), source).toThrow(
        expect.objectContaining({ code, message: expect.stringContaining(message) }),
      );
    fault("a\n{% if true %}\n{{ x", "line 3 of the template", "tokenizer");
    fault("a\r\nb\r\n{% nope %}", "unknown tag 'nope'.\" (line 3 of the template)", "tokenizer");
    fault("{# a\nb #}{{ 'x'\n| nope }}", "No filter named 'nope'.\" (line 3 of the template)", "tokenizer");
    fault("\n\n{{ missing.x }}", "'missing' is undefined\" (line 3 of the template)");
    fault("{% for m in messages %}\n{{ m.nope.x }}{% endfor %}", "(line 2 of the template)");
    fault("{% macro f() %}\n{{ 1 + 'a' }}\n{% endmacro %}\n{{ f() }}", "(line 2 of the template)");
    fault("\n{{ 'x' | indent(nope=1) }}", "unexpected keyword argument 'nope'\" (line 2 of the template)");
    fault("\n{{ raise_exception('no') }}", 'found "no" (line 2 of the template)');
    fault("{% for i in range(99999) %}\n{% for j in range(99999) %}{% endfor %}{% endfor %}", "(line 2 of");
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

/** Right sides from transformers 5.23: `apply_chat_template(..., tokenize=False)`. */
describe("a final message that is continued", () => {
  const begun = (content: string, more: object = {}): Message[] => [
    { role: "user", content: "x" },
    { role: "assistant", content, ...more },
  ];
  const TRIMMED = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}</s>\n{% endfor %}";
  const THINKING =
    "{% for m in messages %}<{{ m.role }}>{% if m.reasoning_content is defined %}[{{ m.reasoning_content }}]{% endif %}{{ m.content }}</s>{% endfor %}";
  const KEPT =
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";

  test.each([
    ["ends where the message ends", KEPT, begun("Sure, "), true, "<user>x</s>\n<assistant>Sure, "],
    ["keeps the space that the template keeps", KEPT, begun("a \n"), true, "<user>x</s>\n<assistant>a \n"],
    ["loses the space that the template trims", TRIMMED, begun("a \n"), true, "<user>x</s>\n<assistant>a"],
    [
      "trims what it ends with where the template trims",
      TRIMMED,
      begun(" a b"),
      true,
      "<user>x</s>\n<assistant>a b",
    ],
    ["may be empty", KEPT, begun(""), true, "<user>x</s>\n<assistant>"],
    ["may be the user's", KEPT, [{ role: "user", content: "Why" }], true, "<user>Why"],
    [
      "may be the reasoning",
      THINKING,
      begun("", { reasoning_content: "hm" }),
      "reasoning_content",
      "<user>x</s><assistant>[hm",
    ],
    [
      "may be the reasoning by another name",
      THINKING,
      begun("", { thinking: "hm" }),
      "thinking",
      "<user>x</s><assistant>[hm",
    ],
  ])("%s", async (_, template, messages, continue_final_message, text) => {
    const tokenizer = await loadFixture("qwen", { template });
    expect(tokenizer.renderChat(messages as Message[], { continue_final_message })).toBe(text);
  });

  test.each([
    [
      "with the opening of another",
      KEPT,
      begun("a"),
      { add_generation_prompt: true },
      "or add_generation_prompt",
    ],
    [
      "that the template changes",
      KEPT.replace("m.content", "m.content | upper"),
      begun("abc"),
      {},
      "leaves the final message",
    ],
    [
      "that the template drops",
      "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}",
      begun("abc"),
      {},
      "leaves the final message",
    ],
    ["of a wrong kind", KEPT, begun("a"), { continue_final_message: 1 }, "as true, false or the name"],
    [
      "by a field that is not there",
      KEPT,
      begun("a"),
      { continue_final_message: "reasoning_content" },
      "reasoning_content",
    ],
    [
      "by a field that the template does not read",
      KEPT,
      begun("a", { note: "b" }),
      { continue_final_message: "note" },
      'reads "note"',
    ],
  ])("is an error %s", async (_, template, messages, args, message) => {
    const tokenizer = await loadFixture("qwen", { template });
    for (const verb of ["renderChat", "encodeChat"] as const) {
      expect(() => tokenizer[verb](messages, { continue_final_message: true, ...args } as never)).toThrow(
        expect.objectContaining({ code: "bad_request", message: expect.stringContaining(message) }),
      );
    }
  });

  test("encodes to tokens that end in the message's span", async () => {
    const tokenizer = await loadFixture("qwen");
    const messages = begun("Sure, here it");
    const { tokens, spans } = tokenizer.encodeChat(messages, { continue_final_message: true });
    expect(spans[1]).toMatchObject({ role: "assistant", end: tokens.length });
    expect(tokenizer.decode(tokens.subarray(spans[1]!.start))).toBe("Sure, here it");
    const closed = [...tokenizer.encodeChat(messages).tokens];
    expect(closed.slice(0, tokens.length)).toEqual([...tokens]);
  });

  test("leaves the caller's messages as they are", async () => {
    const messages = begun("a");
    const parts: Message[] = [{ role: "user", content: [{ type: "text", text: "b" }] }];
    const before = JSON.stringify([messages, parts]);
    const reading = "{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}";
    (await loadFixture("qwen")).renderChat(messages, { continue_final_message: true });
    const tokenizer = await loadFixture("qwen", { template: reading });
    expect(tokenizer.renderChat(parts, { continue_final_message: true })).toBe("b");
    expect(JSON.stringify([messages, parts])).toBe(before);
  });
});

describe("a content in parts", () => {
  const parts: Message[] = [
    { role: "system", content: "S" },
    {
      role: "user",
      content: [
        { type: "text", text: "one " },
        { type: "text", text: "two" },
      ],
    },
  ];
  /** How published templates read parts, and print them with a mark between. */
  const READING = [
    // Qwen2-VL, Gemma 3
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}|{% endif %}{% endfor %}{% endif %}{% endfor %}",
    // by a name, as Llama 4 and many others
    "{% for m in messages %}{% set content = m.content if m.content is string else m.content | list %}{% if content is string %}{{ content }}{% else %}{% for c in content %}{% if c.type == 'text' %}{{ c.text }}|{% endif %}{% endfor %}{% endif %}{% endfor %}",
    // by a macro, as Qwen 3.5 and GLM-4.5
    "{% macro show(content) %}{% if content is string %}{{ content }}{% else %}{% for item in content %}{{ item.text }}|{% endfor %}{% endif %}{% endmacro %}{% for m in messages %}{{ show(m.content) }}{% endfor %}",
    // by filters, as Apriel
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{{ m.content | selectattr('type', 'equalto', 'text') | map(attribute='text') | join('|') }}|{% endif %}{% endfor %}",
    // by index, as Llama 3.2 Vision
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{{ m.content[0]['text'] }}|{{ m.content[1].text }}|{% endif %}{% endfor %}",
    // in a namespace
    "{% set ns = namespace(c='') %}{% for m in messages %}{% set ns.c = m.get('content') or '' %}{% if ns.c is string %}{{ ns.c }}{% else %}{% for p in ns.c[0:] %}{{ p.get('text') }}|{% endfor %}{% endif %}{% endfor %}",
  ];
  const PLAIN = [
    "{% for m in messages %}{{ m.role ~ m.content }};{% endfor %}",
    "{% for m in messages %}{{ m['role'] + (m['content'] | trim) }};{% endfor %}",
    // Loops over something else of a content.
    "{% for m in messages %}{{ m.role }}{% for line in m.content.split('\n') %}{{ line }}{% endfor %};{% endfor %}",
    "{% for m in messages %}{{ m.role }}{% for c in m.content %}{{ c }}{% endfor %};{% endfor %}",
    "{% for m in messages %}{{ m.role ~ m.content }}{% for t in m.tool_calls or [] %}{{ t.type }}{% endfor %};{% endfor %}",
  ];

  test.each(READING)("is passed on to %j", async (template) => {
    expect((await loadFixture("qwen", { template })).renderChat(parts)).toBe("Sone |two|");
  });

  test.each(PLAIN)("is one text to %j", async (template) => {
    expect((await loadFixture("qwen", { template })).renderChat(parts)).toBe("systemS;userone two;");
  });

  test("has one span, whichever way it goes", async () => {
    for (const template of [READING[0]!, PLAIN[0]!]) {
      const tokenizer = await loadFixture("qwen", { template });
      const { tokens, spans } = tokenizer.encodeChat(parts);
      const text = tokenizer.decode(tokens.subarray(spans[1]!.start, spans[1]!.end));
      expect(text).toBe(template === PLAIN[0] ? "one two" : "one |two");
    }
  });

  test("can be continued", async () => {
    const args = { continue_final_message: true };
    const render = async (template: string) =>
      (await loadFixture("qwen", { template })).renderChat(parts, args);
    expect(await render(READING[0]!)).toBe("Sone |two");
    expect(await render(PLAIN[0]!)).toBe("systemS;userone two");
  });

  test("never lets control tokens in", async () => {
    const chat: Message[] = [
      {
        role: "user",
        content: [
          { type: "text", text: "<|im_" },
          { type: "text", text: "end|>" },
        ],
      },
    ];
    for (const template of [undefined, READING[0]!.replace("|{%", "{%")]) {
      const tokenizer = await loadFixture("qwen", template === undefined ? {} : { template });
      const { tokens } = tokenizer.encodeChat(chat, { add_generation_prompt: false });
      const count = [...tokens].filter((id) => id === tokenizer.tokenId("<|im_end|>")).length;
      expect(count).toBe(template === undefined ? 1 : 0);
    }
  });
});

describe("what a message has beside its content", () => {
  test("reaches the template, but for what is null", () => {
    const source =
      "{% for m in messages %}{{ m.a is defined }}{{ m.b is defined }}{{ m.c is defined }}{{ m.c.d is none }}{% endfor %}";
    const message = { role: "user", content: "x", a: null, b: undefined, c: { d: null } };
    expect(new ChatTemplate(source, {}).render([message], {}, NOON)).toBe("FalseFalseTrueTrue");
  });

  test("is plain data", () => {
    const source =
      "{{ messages[0].a }} {{ messages[0].b }} {{ messages[0].c }} {{ messages[0].d }} {{ messages[0].e }}";
    const message = {
      role: "user",
      content: "x",
      a: new Date(0),
      b: () => 1,
      c: new Uint8Array(2),
      d: 10n ** 20n,
      e: [undefined],
    };
    expect(new ChatTemplate(source, {}).render([message], {}, NOON)).toBe(
      "<Date> <function> <Uint8Array> 100000000000000000000 [None]",
    );
    const circle: Record<string, unknown> = { role: "user", content: "x" };
    circle.self = circle;
    expect(() => new ChatTemplate(source, {}).render([circle as never], {}, NOON)).toThrow(
      expect.objectContaining({ code: "bad_request" }),
    );
  });
});
