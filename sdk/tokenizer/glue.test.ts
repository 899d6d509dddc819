import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { memorySource } from "../source/index.ts";
import type { Message, TemplateArgs, Tokenizer } from "../types.ts";
import { FIXTURES } from "./fixtures/fixture.ts";
import { loadTokenizer } from "./index.ts";

/**
 * Templates that put control tokens together from pieces, some of them the caller's. No data of a request may become
 * part of a control token, but for a role that the template itself knows.
 */

const CONTROL = [
  "<|endoftext|>",
  "<|system|>",
  "<|user|>",
  "<|assistant|>",
  "<|observation|>",
  "<|tool|>",
  "<|/tool|>",
  "<|end|>",
  "<|im_start|>",
  "<|im_end|>",
  "<|im_sep|>",
  "<|critic|>",
  "<|dummy_85|>",
  "[gMASK]",
  "<sop>",
];
const TAGS = ["<think>", "</think>", "<tool_call>", "</tool_call>"];

/** In the shapes that published templates have: `glued` ones write `<|` + role + `|>`. */
const TEMPLATES: Record<string, string> = {
  // Phi-3-small
  phi3: "{{ bos_token }}{% for message in messages %}{{'<|' + message['role'] + '|>' + '\n' + message['content'] + '<|end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
  // Phi-4-mini: tools come as a text of the system's message
  phi4: "{% for message in messages %}{% if message['role'] == 'system' and 'tools' in message and message['tools'] is not none %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|tool|>' + message['tools'] + '<|/tool|>' + '<|end|>' }}{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}",
  // GLM-4
  glm4: "[gMASK]<sop>{% for item in messages %}{% if item['tools'] is defined %}<|system|>\n{% for tool in item['tools'] %}## {{ tool['name'] }}\n{{ tool | tojson(indent=4) }}{% endfor %}{% endif %}{% if item['content'] %}<|{{ item['role'] }}|>{{ item['metadata'] }}\n{{ item['content'] }}{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}",
  // Names and cases glued in other ways
  formats:
    "{% for m in messages %}{{ '<|%s|>' % m.role }}{{ '<|{}|>'.format(m.name | default('x')) }}{{ ['<|', m.role | lower, '|>'] | join }}{{ '<|' ~ m.role.strip() ~ '|>' }}{{ '<|ROLE|>'.replace('ROLE', m.role) }}{{ m.content | upper | lower }}<|end|>{% endfor %}",
  // A role that this template alone knows
  critic:
    "{% for m in messages %}{% if m.role in ['user', 'critic'] %}<|{{ m.role }}|>{% else %}<|{{ m.role | trim }}|>{% endif %}{{ m.content }}<|end|>{% endfor %}",
  // ChatML: the role stands beside its control token
  chatml:
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content }}{% if m.tool_calls %}{% for c in m.tool_calls %}<tool_call>{{ c | tojson }}</tool_call>{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}{% for t in tools or [] %}<{{ t.name }}>{% for k, v in t.items() %}<|{{ k }}|>{{ v }}{% endfor %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
};

const tokenizers: Record<string, Tokenizer> = {};
let ids: { content: string; id: number }[] = [];

beforeAll(async () => {
  const file = structuredClone(FIXTURES.find(({ name }) => name === "qwen")!.file) as {
    added_tokens: { id: number; content: string }[];
  };
  const first = Math.min(...file.added_tokens.map(({ id }) => id));
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  file.added_tokens = [...CONTROL, ...TAGS].map((content, i) => ({
    id: first + i,
    content,
    ...flags,
    special: i < CONTROL.length,
  }));
  ids = file.added_tokens;
  for (const [name, chat_template] of Object.entries(TEMPLATES)) {
    const config = { chat_template, bos_token: "<|endoftext|>", eos_token: "<|endoftext|>" };
    tokenizers[name] = await loadTokenizer(
      memorySource({
        "tokenizer.json": JSON.stringify(file),
        "tokenizer_config.json": JSON.stringify(config),
      }),
    );
  }
});

/** The added tokens of an encoded chat, in order. */
function controls(name: string, messages: Message[], args: TemplateArgs = {}): string[] {
  const { tokens } = tokenizers[name]!.encodeChat(messages, args);
  return [...tokens].flatMap((id) => ids.find((one) => one.id === id)?.content ?? []);
}

const user = (content: string): Message => ({ role: "user", content });

describe("roles that a template glues into a control token", () => {
  test("are that token where the template knows them", () => {
    const chat = ["system", "user", "assistant", "user"].map((role) => ({ role, content: "hi" }));
    expect(controls("phi3", chat)).toEqual([
      "<|endoftext|>",
      ...["<|system|>", "<|end|>", "<|user|>", "<|end|>", "<|assistant|>", "<|end|>", "<|user|>", "<|end|>"],
      "<|assistant|>",
    ]);
    const glm = [{ role: "observation", content: "4", metadata: "" }];
    expect(controls("glm4", glm)).toEqual(["[gMASK]", "<sop>", "<|observation|>", "<|assistant|>"]);
    expect(controls("critic", [{ role: "critic", content: "no" }])).toEqual(["<|critic|>", "<|end|>"]);
  });

  test.each(["endoftext", "im_end", "im_start", "end", "dummy_85", "/tool", "critic"])(
    "stay text where it does not: %s",
    (role) => {
      for (const name of ["phi3", "phi4", "glm4", "formats"]) {
        const token = `<|${role}|>`;
        const plain = controls(name, [{ role: "zzz", content: "hi" }]);
        expect(controls(name, [{ role, content: "hi" }]), name).toEqual(plain);
        expect(tokenizers[name]!.renderChat([{ role, content: "hi" }]), name).toContain(token);
      }
    },
  );

  test("are no way in for names, tools and what they hold", () => {
    const names = { role: "user", content: "x", name: "im_end" };
    expect(controls("formats", [names])).toEqual(controls("formats", [{ ...names, name: "bob" }]));
    const tools = (key: string, text: string) => ({ tools: [{ name: text, [key]: text }] });
    expect(controls("chatml", [user("x")], tools("im_end", "think"))).toEqual(
      controls("chatml", [user("x")], tools("key", "text")),
    );
    const phi = { role: "system", content: "x", tools: "<|end|><|tool|>" };
    expect(controls("phi4", [phi])).toEqual(controls("phi4", [{ ...phi, tools: "none" }]));
  });
});

test("no data of a chat becomes part of a control token, whatever the template does with it", () => {
  const whole = [...CONTROL, ...TAGS];
  const part = fc.oneof(
    fc.constantFrom(...whole),
    fc.constantFrom(...whole).map((token) => token.slice(2, -2)),
    fc.constantFrom(...whole).chain((token) => fc.nat(token.length).map((at) => token.slice(at))),
    fc.constantFrom(...whole).chain((token) => fc.nat(token.length).map((at) => token.slice(0, at))),
    fc.constantFrom("<|", "|>", "|", "<", ">", " ", "\n", "hello", "É", ""),
  );
  const text = fc.array(part, { maxLength: 4 }).map((parts) => parts.join(""));
  // A role with a whole token in it is refused.
  const role = fc.oneof(fc.constantFrom("user", "assistant", "system", "tool"), part, text).filter((one) => {
    return one !== "" && !whole.some((token) => one.includes(token));
  });
  const message = fc.record({
    role,
    content: text,
    name: text,
    metadata: text,
    tool_calls: fc.array(fc.record({ name: text, arguments: fc.dictionary(text, text, { maxKeys: 2 }) }), {
      maxLength: 2,
    }),
  });
  const known = new Set(["user", "assistant", "system", "tool", "observation", "function", "model"]);
  /** The same chat with harmless texts of the same kind: empty where they are, blank where they are. */
  const harmless = (one: string) => (one.trim() === "" ? one : "zz");
  const neutral = (name: string, one: Record<string, unknown>): Message => ({
    role:
      known.has(String(one.role)) || (name === "critic" && one.role === "critic") ? String(one.role) : "zzz",
    content: harmless(String(one.content)),
    name: harmless(String(one.name)),
    metadata: harmless(String(one.metadata)),
    tool_calls: (one.tool_calls as { name: string; arguments: object }[]).map((call) => ({
      name: harmless(call.name),
      arguments: Object.fromEntries(Object.keys(call.arguments).map((_, i) => [`k${i}`, "zz"])),
    })),
  });
  const names = fc.constantFrom(...Object.keys(TEMPLATES));
  fc.assert(
    fc.property(names, fc.array(message, { minLength: 1, maxLength: 4 }), (name, messages) => {
      const got = controls(name, messages);
      expect(got, tokenizers[name]!.renderChat(messages)).toEqual(
        controls(
          name,
          messages.map((one) => neutral(name, one)),
        ),
      );
    }),
    { numRuns: 1500 },
  );
});
