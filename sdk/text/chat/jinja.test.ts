import { describe, expect, test } from "vitest";
import { CapstanError } from "../../../models/index.ts";
import { ChatTemplate } from "./template.ts";

const CHAT = [
  { role: "user", content: " hi " },
  { role: "assistant", content: "yo" },
];
const render = (template: string, messages = CHAT) =>
  new ChatTemplate(template, {}).render(messages, {}, new Date());

describe("what templates compute", () => {
  // Right sides from transformers 5.23 with jinja2 3.1.6.
  test.each([
    ["{{ [1, 'a', \"it's\", none, true, 1.5, [], {}] }}", "[1, 'a', \"it's\", None, True, 1.5, [], {}]"],
    ["{{ {'a': {'b': ['c\\n\"']}} }}", "{'a': {'b': ['c\\n\"']}}"],
    [
      "{{ ['\\u200b', '\\x00', '\u00e9', '\ud83d\ude00', '\\u00a0'] }}",
      "['\\u200b', '\\x00', '\u00e9', '\ud83d\ude00', '\\xa0']",
    ],
    [
      "{{ 1 == '1' }} {{ 1 == 1.0 }} {{ [1, [2]] == [1, [2]] }} {{ {'a': 1} != {'a': 1} }} {{ true == 1 }}",
      "False True True False True",
    ],
    [
      "{{ [1] in [[1], 2] }} {{ 'a' in 'cat' }} {{ 'k' in {'k': 0} }} {{ 3 not in [1, 2] }}",
      "True True True True",
    ],
    [
      "{{ -7 % 3 }} {{ 7 % -3 }} {{ -7 // 2 }} {{ 7 / 2 }} {{ 2 ** 3 }} {{ 'ab' * 3 }} {{ [0] * 2 }}",
      "2 -2 -4 3.5 8 ababab [0, 0]",
    ],
    [
      "{{ [0.0000001, 10000000000000000.5, 123456789.125, 0.1, 100.0, 0.00012] }}",
      "[1e-07, 1e+16, 123456789.125, 0.1, 100.0, 0.00012]",
    ],
    [
      "{{ [0.0000001, 0.5] | tojson }} {{ {'b': [1, {}], 'a': '\u00fc<&>\\u2028'} | tojson }} {{ {'b': 1, 'a': '\u00fc'} | tojson(sort_keys=true, ensure_ascii=true) }}",
      '[1e-07, 0.5] {"b": [1, {}], "a": "\u00fc<&>\u2028"} {"a": "\\u00fc", "b": 1}',
    ],
    [
      "{{ {'a': [1, {'b': []}]} | tojson(indent=2) }}",
      '{\n  "a": [\n    1,\n    {\n      "b": []\n    }\n  ]\n}',
    ],
    ["{{ [1, 2] | tojson(separators=(',', ':')) }}", "[1,2]"],
    [
      "{{ '\ud83d\ude00\u00e9' | length }} {{ '\ud83d\ude00\u00e9'[0] }} {{ 'abc'[-1] }} {{ 'abc'[::-1] }} {{ '\ud83d\ude00bc'[1:] }}",
      "2 \ud83d\ude00 c cba bc",
    ],
    [
      "{{ 'hello wORLD-foo (bar)' | title }} {{ 'hello wORLD' | capitalize }} {{ \"it's o'neil\".title() }} {{ '\u00e9A'.capitalize() }}",
      "Hello World-Foo (Bar) Hello world It'S O'Neil \u00c9a",
    ],
    [
      "{{ ['b', 'A', 'a', 'B'] | unique | join(',') }} {{ [3, 1, 2] | sort | join }} {{ ['b', 'A'] | sort | first }} {{ [1, 2, 3] | sum }} {{ [2, 5] | max }} {{ [2, 5] | min }}",
      "b,A 123 A 6 5 2",
    ],
    [
      "{{ ['a', '', none, 'b'] | select | list }} {{ [1, 2, 3] | reject('equalto', 2) | list }} {{ [1, 2, 3] | select('gt', 1) | join('+') }} {{ ['a', 'b'] | map('upper') | list }}",
      "['a', 'b'] [1, 3] 2+3 ['A', 'B']",
    ],
    [
      "{{ messages | map(attribute='role') | join(' ') }} {{ messages | selectattr('role', 'ne', 'user') | list | length }} {{ messages | selectattr('nope') | list }} {{ messages | rejectattr('role', 'in', ['user']) | list | length }}",
      "user assistant 1 [] 1",
    ],
    [
      "{% for c in 'h\u00e9y' %}{{ c }}.{% endfor %}{% for x in missing %}no{% else %}none{% endfor %}",
      "h.\u00e9.y.none",
    ],
    [
      "{% for i in range(5) %}<{{ i }}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}>{% endfor %}",
      "<0><1<2><3",
    ],
    [
      "{% for k, v in {'a': 1, 'b': [2]}.items() %}{{ k }}={{ v }};{% endfor %}{% for a, (b, c) in [(1, (2, 3))] %}{{ a + b + c }}{% endfor %}",
      "a=1;b=[2];6",
    ],
    [
      "{% for x in [1, 2, 3] if x != 2 %}{{ loop.index }}/{{ loop.length }}{{ loop.cycle('a', 'b') }}{{ loop.previtem }}{{ loop.nextitem }} {% endfor %}",
      "1/2a3 2/2b1 ",
    ],
    [
      "{% set ns = namespace(a=1) %}{% for x in [1, 2] %}{% set ns.a = ns.a + x %}{% endfor %}{{ ns.a }}",
      "4",
    ],
    [
      "{% macro m(a, b='x') %}[{{ a }}{{ b }}{{ caller() if caller else '' }}]{% endmacro %}{{ m(1) }}{{ m(1, b=2) }}{% call m('q') %}in{% endcall %}",
      "[1x][12][qxin]",
    ],
    [
      "{% set t %} {{ 'block' | upper }} {% endset %}{{ t | trim }}{% filter upper %}x{% endfilter %}",
      "BLOCKX",
    ],
    [
      "{{ 'a,b,c'.split(',', 1) }} {{ ' a  b '.split() }} {{ 'a-b-c'.rsplit('-', 1) }} {{ 'x=1=2'.partition('=') | join }} {{ 'a\\nb\\r\\nc'.splitlines() }}",
      "['a', 'b,c'] ['a', 'b'] ['a-b', 'c'] x=1=2 ['a', 'b', 'c']",
    ],
    [
      "{{ 'banana'.replace('an', 'x', 1) }} {{ 'abc'.replace('', '-') }} {{ 'banana'.count('an') }} {{ 'ab'.find('b') }} {{ 'prefix-x'.removeprefix('prefix-') }} {{ '12'.isdigit() }} {{ ','.join(['a', 'b']) }}",
      "bxana -a-b-c- 2 1 x True a,b",
    ],
    [
      "{{ none }} {{ missing }} {{ missing | default('d') }} {{ '' | default('e', true) }} {{ missing is defined }} {{ 'x' if false }}|",
      "None  d e False |",
    ],
    [
      "{{ 'a\\nb\\n\\nc' | indent(2) }}|{{ 'a\\nb' | indent(1, first=true) }}|{{ 'x' | string }}{{ 3 | string }}{{ 3.0 | int }}{{ '7' | int + 1 }}{{ '4.9' | int }}{{ 'z' | int(5) }}",
      "a\n  b\n\n  c| a\n b|x33845",
    ],
    [
      "{{ 2.5 | round }} {{ 3.14159 | round(2) }} {{ 2.7 | int }} {{ -2.7 | int }} {{ 5 | abs }} {{ 'a' ~ 1 ~ none ~ true }}",
      "2.0 3.14 2 -2 5 a1NoneTrue",
    ],
    [
      "{{ {'b': 1, 'a': 2} | dictsort | map('first') | list }} {{ ({'x': 1} | items | list)[0][0] }} {{ {'x': 1}.get('y', 'z') }} {{ {'x': 1}.keys() | list }} {{ {'x': 1}.values() | list }}",
      "['a', 'b'] x z ['x'] [1]",
    ],
    [
      "{% generation %}g{% endgeneration %} {{ 'A' is upper }} {{ [1] is iterable }} {{ {} is mapping }} {{ 'x' is string }} {{ 1 is number }} {{ none is none }} {{ 3 is odd }}",
      "g True True True True True True True",
    ],
  ])("%j", (template, text) => expect(render(template)).toBe(text));
});

describe("templates that mean harm", () => {
  const nested = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth);
  test.each([
    ["a loop without end", "{% for i in range(1000000000) %}x{% endfor %}"],
    ["loops in loops", `${"{% for i in range(99) %}".repeat(9)}x${"{% endfor %}".repeat(6)}`],
    ["loops that print nothing", `${"{% for i in range(9999) %}".repeat(4)}${"{% endfor %}".repeat(4)}`],
    ["a macro that calls itself", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"],
    [
      "macros that call each other twice",
      "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    ],
    [
      "a text that doubles",
      "{% set n = namespace(t='ab') %}{% for i in range(99) %}{% set n.t = n.t ~ n.t %}{% endfor %}{{ n.t }}",
    ],
    ["a text times a number", "{{ 'ab' * 1000000000 }}"],
    [
      "a list that doubles",
      "{% set n = namespace(t=[1]) %}{% for i in range(99) %}{% set n.t = n.t + n.t %}{% endfor %}{{ n.t }}",
    ],
    [
      "a list in a list in a list",
      "{% set n = namespace(t=[1]) %}{% for i in range(99) %}{% set n.t = [n.t, n.t] %}{% endfor %}{{ n.t }}",
    ],
    [
      "the same as JSON",
      "{% set n = namespace(t=[1]) %}{% for i in range(99) %}{% set n.t = [n.t, n.t] %}{% endfor %}{{ n.t | tojson }}",
    ],
    [
      "the same compared",
      "{% set n = namespace(t=[1], u=[1]) %}{% for i in range(99) %}{% set n.t = [n.t, n.t] %}{% set n.u = [n.u, n.u] %}{% endfor %}{{ n.t == n.u }}",
    ],
    [
      "a replacement that grows",
      "{% set n = namespace(t='a') %}{% for i in range(99) %}{% set n.t = n.t.replace('a', 'aaaaaaaaaa') %}{% endfor %}{{ n.t }}",
    ],
    [
      "replacements of nothing",
      "{% set n = namespace(t='ab') %}{% for i in range(99) %}{% set n.t = n.t.replace('', n.t) %}{% endfor %}{{ n.t }}",
    ],
    [
      "a join that grows",
      "{% set t = 'ab' * 4000000 %}{{ [1] * 9999 | join(t) }}{{ ([1] * 9999) | join(t) }}",
    ],
    ["an indent", "{{ 'a' | indent(999999999) }}"],
    ["an indent of JSON", "{{ [[[1]]] | tojson(indent=999999999) }}"],
    ["a deep expression", `{{ ${nested("(", ")", 50_000)} }}`],
    ["a deep list", `{{ ${nested("[", "]", 50_000)} }}`],
    ["deep conditions", nested("{% if true %}", "{% endif %}", 15_000)],
    ["many filters", `{{ 'a' ${"| upper ".repeat(30_000)} }}`],
    ["a long template", "x".repeat(2 ** 20)],
    ["names of JavaScript", "{{ ''.constructor.constructor('return 1')() }}"],
    ["names of Python", "{{ ''.__class__.__mro__[1].__subclasses__() }}"],
  ])("%s: one clear error", (_, template) => {
    try {
      render(template);
    } catch (error) {
      expect(error).toBeInstanceOf(CapstanError);
      expect((error as CapstanError).message.length).toBeLessThan(400);
      return;
    }
    throw new Error("rendered");
  });

  test("long gaps are no harm", () => {
    const gap = " ".repeat(80_000);
    expect(render(`{{ 'a' }}${gap}{{- 'b' ${gap}}}${gap}`)).toBe(`ab${gap}`);
  });

  test("names of JavaScript's objects stand for nothing", () => {
    for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty"]) {
      expect(render(`{{ ${name} is defined }}{{ messages[0].${name} is defined }}`)).toBe("FalseFalse");
      expect(() => render(`{{ 'x' | ${name} }}`)).toThrow(CapstanError);
    }
  });

  test("long chats are no harm", () => {
    const source = `{% for m in messages %}{% if loop.index0 % 2 == 0 %}<u>{% else %}<a>{% endif %}{{ m.role + m.content | trim }}{% endfor %}`;
    const messages = Array.from({ length: 2000 }, () => ({ role: "user", content: "word ".repeat(200) }));
    expect(render(source, messages)).toHaveLength(2000 * (3 + 4 + 999));
  });
});
