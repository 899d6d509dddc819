import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { memorySource } from "../../checkpoint/source/index.ts";
import type { Message, TemplateArgs, Tokenizer } from "../../types.ts";
import { FIXTURES, type Fixture, loadFixture } from "../fixtures/fixture.ts";
import { loadTokenizer } from "../index.ts";

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

/** A fixture's tokenizer with one more control token, in place of its last. */
function withToken(fixture: Fixture, content: string): Fixture["file"] {
  const file = structuredClone(fixture.file);
  if (!file.added_tokens.some((one) => one.content === content)) file.added_tokens.at(-1)!.content = content;
  return file;
}

const COMMON_ROLES = ["system", "user", "assistant", "tool", "observation"];

/** Ways to write a control token around data, and data beside it. */
const SHAPES: Record<string, (before: string, field: string, after: string) => string> = {
  added: (before, field, after) => `{{ ${quote(before)} + ${field} + ${quote(after)} }}`,
  joined: (before, field, after) => `{{ [${quote(before)}, ${field} | trim, ${quote(after)}] | join }}`,
  formatted: (before, field, after) => `{{ ${quote(`${before}%s${after}`)} % ${field} }}`,
  replaced: (before, field, after) => `{{ ${quote(`${before}@${after}`)}.replace('@', ${field}) }}`,
  captured: (before, field, after) =>
    `{% set x %}${before}{{ ${field} }}{% endset %}{{ x ~ ${quote(after)} }}`,
  literal: (before, field, after) => `${before}{{ ${field} }}${after}`,
};
const quote = (text: string) => JSON.stringify(text);
const FIELDS: Record<string, string> = {
  role: "m.role",
  content: "m.content",
  name: "m.name",
  tool: "m.tool_calls[0].function.name",
  key: "(m.tool_calls[0].function.arguments | first)",
  argument: "prefix",
};

test("whichever token of a tokenizer a template writes around data, it stays text", async () => {
  const cut = (token: string) =>
    fc
      .tuple(fc.nat(token.length - 1), fc.nat(token.length))
      .map(([start, end]) => [token, start, Math.max(start + 1, end)] as const);
  const cases = fc
    .record({
      fixture: fc.constantFrom(...FIXTURES),
      word: fc.constantFrom(...COMMON_ROLES, "end", "im_sep", "x"),
      frame: fc.constantFrom(["<|", "|>"], ["[", "]"], ["<", ">"], ["<|start_", "_end|>"]),
      shape: fc.constantFrom(...Object.keys(SHAPES)),
      field: fc.constantFrom(...Object.keys(FIELDS)),
    })
    .chain(({ fixture, word, frame, ...others }) => {
      const made = `${frame[0]}${word}${frame[1]}`;
      const tokens = withToken(fixture, made).added_tokens.map(({ content }) => content);
      const one = fc.oneof(fc.constant(made), fc.constantFrom(...tokens));
      const whole = fc.constant([made, frame[0]!.length, made.length - frame[1]!.length] as const);
      return fc.oneof(whole, one.chain(cut)).chain(([token, start, end]) => {
        const data = fc.oneof(
          fc.constant(token.slice(start, end)),
          fc.constantFrom(...tokens),
          one.chain(cut).map(([other, from, to]) => other.slice(from, to)),
          fc.constantFrom(...COMMON_ROLES, "critic", "<|", "|>"),
        );
        const message = fc.record({ role: data, content: data, name: data, key: data, tool: data });
        return fc.record({
          name: fc.constant(fixture.name),
          made: fc.constant(made),
          before: fc.constant(token.slice(0, start)),
          after: fc.constant(token.slice(end)),
          shape: fc.constant(others.shape),
          field: fc.constant(others.field),
          prefix: data,
          messages: fc.array(message, { minLength: 1, maxLength: 4 }),
        });
      });
    });
  let n_known = 0;
  let n_refused = 0;
  await fc.assert(
    fc.asyncProperty(cases, async ({ name, made, before, after, shape, field, prefix, messages }) => {
      const file = withToken(FIXTURES.find((one) => one.name === name)!, made);
      // <unk> is also what plain text may become.
      const tokens = file.added_tokens.filter(({ content }) => content !== "<unk>");
      const literal = tokens[0]!.content;
      const piece = SHAPES[shape]!(before, FIELDS[field]!, after);
      const template = `${literal}\n{% for m in messages %}- ${piece} -\n{% endfor %}`;
      const tokenizer = await loadFixture(name, { file, template });
      const chat = messages.map(({ role, content, name, key, tool }) => {
        const call = { function: { name: tool, arguments: { [key]: content } } };
        return { role, content, name, tool_calls: [call] };
      });
      const encode = () => [...tokenizer.encodeChat(chat, { prefix }).tokens];
      if (chat.some(({ role }) => file.added_tokens.some(({ content }) => role.includes(content)))) {
        n_refused++;
        expect(encode).toThrow("roles without control tokens");
        return;
      }
      // A role that is known is the template's own word.
      const known = chat.flatMap(({ role }) => {
        const glued = tokens.find(({ content }) => content === before + role + after);
        return field === "role" && COMMON_ROLES.includes(role) && glued !== undefined
          ? [tokenizer.tokenId(glued.content)]
          : [];
      });
      n_known += known.length;
      // An added token that the vocabulary has under another text gets an id of its own, as in Python.
      const control = new Set(tokens.map(({ content }) => tokenizer.tokenId(content)));
      const found = encode().filter((id) => control.has(id));
      expect(found).toEqual([tokenizer.tokenId(literal), ...known]);
    }),
    { numRuns: 500 },
  );
  expect(n_known).toBeGreaterThan(0);
  expect(n_refused).toBeGreaterThan(50);
}, 60_000);
