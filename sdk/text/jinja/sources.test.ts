import { describe, expect, test } from "vitest";
import { fromPlain, makeGlobals, type Source, Str, Template, type Value } from "./index.ts";

const SOURCE: Source = { turn: 0 };
const OTHER: Source = { turn: null };

/** Renders with `s` from one source and `t` from another; gives the text of each run. */
function traced(template: string, s = "привет <мир>", t = "тест"): { text: string; runs: string[] } {
  const values = new Map<string, Value>([
    ...makeGlobals(() => "now"),
    ["s", Str.from(s, SOURCE)],
    ["t", Str.from(t, OTHER)],
    ["d", fromPlain({ ключ: [s] }, (text) => Str.from(text, SOURCE))],
  ]);
  const made = new Template(template).render(values);
  return { text: made.value, runs: made.runs.map((run) => made.value.slice(run.start, run.end)) };
}

describe("a text keeps its source through", () => {
  test.each([
    ["{{ '<' ~ s ~ '>' }}", ["привет <мир>"]],
    ["{{ s + '|' + t }}", ["привет <мир>", "тест"]],
    ["{{ t * 2 }}", ["тест", "тест"]],
    ["{{ '%s|%7s|%.2s' % (t, t, t) }}", ["тест", "тест", "те"]],
    ["{{ '%(a)s!' % {'a': t} }}", ["тест"]],
    ["{{ '{}|{:>6}|{x!r}'.format(t, t, x=t) }}", ["тест", "тест", "тест"]],
    ["{{ 'a-b'.replace('-', t) }}", ["тест"]],
    ["{{ t.replace('е', 'x') }}", ["т", "ст"]],
    ["{{ [t, 1] }}{{ d }}", ["тест", "ключ", "привет <мир>"]],
    ["{{ [t] | tojson }}{{ t | tojson(ensure_ascii=true) }}", ["тест", "\\u0442\\u0435\\u0441\\u0442"]],
    ["{{ s | e }}", ["привет &lt;мир&gt;"]],
    ["{{ t.upper() }}{{ t | title }}{{ t | capitalize }}", ["ТЕСТ", "Тест", "Тест"]],
    ["{{ t[1:3] }}|{{ t[::-1] }}|{{ t[-1] }}", ["ес", "т", "с", "е", "т", "т"]],
    ["{{ s.split(' ') | join('_') }}", ["привет", "<мир>"]],
    [
      "{{ s.partition(' ') | first }}{{ s.rsplit(none, 1)[-1] }}{{ s.splitlines()[0] }}",
      ["привет", "<мир>", "привет <мир>"],
    ],
    [
      "{{ ' x ' ~ t | trim }}{{ (t ~ '  ').strip() }}{{ t | center(8) }}{{ t.zfill(6) }}",
      Array(4).fill("тест"),
    ],
    ["{{ ('a\n' ~ t) | indent(2) }}", ["тест"]],
    ["{{ (t ~ ' a b c d e f') | truncate(9, true, '', 0) }}", ["тест"]],
    ["{{ ('aaa ' ~ t) | wordwrap(5) }}", ["тест"]],
    ["{% for c in t %}[{{ c }}]{% endfor %}", ["т", "е", "с", "т"]],
    ["{% for k, v in d.items() %}{{ k }}={{ v | first }}{% endfor %}", ["ключ", "привет <мир>"]],
    [
      "{% macro m(x) %}<{{ x }}{{ caller() }}>{% endmacro %}{% call m(t) %}{{ t }}{% endcall %}",
      ["тест", "тест"],
    ],
    ["{% set q %}[{{ t }}]{% endset %}{{ q }}{% filter upper %}a{{ t }}{% endfilter %}", ["тест", "ТЕСТ"]],
    ["{% set n = namespace(a=t) %}{{ n.a }}{{ n }}", ["тест", "тест"]],
    ["{{ [{'a': t}] | map(attribute='a') | list | first }}{{ [t, t] | unique | join }}", ["тест", "тест"]],
    ["{{ [{'a': t}] | groupby('a') | map('first') | first }}", ["тест"]],
    ["{{ t or 'x' }}{{ t if true else 'x' }}{{ nope | default(t) }}", ["тест", "тест", "тест"]],
    ["{{ dict(**d) }}", ["ключ", "привет <мир>"]],
    ["{% macro m() %}{{ kwargs }}{% endmacro %}{{ m(**d) }}", ["ключ", "привет <мир>"]],
    ["{{ '{:{f}>3}'.format('x', f=t[0]) }}|{{ 'x'.center(3, t[0]) }}", ["ттx", "т", "т"]],
    ["{{ [1] | tojson(indent=t) }}{{ [1, 2] | tojson(separators=(t, '')) }}", ["тест", "тест"]],
    [
      "{{ 'www.a.org' | urlize(target=t) }}",
      ['<a href="https://www.a.org" rel="noopener" target="тест">www.a.org</a>'],
    ],
    ["{{ dict(a=t).a }}{{ {t: 1} | list | first }}", ["тест", "тест"]],
    // By a way too winding to follow: the whole of it.
    ["{{ 'a' ~ t }}|{{ ('a' ~ t) | urlencode }}", ["тест", "a%D1%82%D0%B5%D1%81%D1%82"]],
    ["{{ ('x &amp; ' ~ t) | striptags }}{{ [t] | pprint }}", ["x & тест", "['тест']"]],
  ])("%j", (template, runs) => {
    // Runs that touch differ in their source, and copies of the same stretch by where it begins.
    expect(traced(template).runs.join("\0")).toBe(runs.join("\0"));
  });
});

test("what a template chooses by a text is the template's own", () => {
  const template =
    "{{ {'тест': 'known'}[t] }}{{ t | length }}{{ t == 'тест' }}{% if t %}yes{% endif %}{{ t is string }}";
  expect(traced(template)).toEqual({ text: "known4TrueyesTrue", runs: [] });
});

test("a source's own places go along", () => {
  const values = new Map<string, Value>([["s", Str.from("abcdef", SOURCE)]]);
  const { runs } = new Template("{{ s[2:4] }}|{{ s.split('c')[1] }}|{{ s.upper() }}").render(values);
  expect(runs.map(({ from, to }) => [from, to])).toEqual([
    [2, 4],
    [3, 6],
    [0, 6],
  ]);
});
