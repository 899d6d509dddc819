import type { Random } from "./mutate.ts";

/** Random templates: what Jinja has, put together without sense, loops and growth included. */

const NAMES = [
  "messages",
  "m",
  "x",
  "ns",
  "bos_token",
  "tools",
  "loop",
  "none",
  "true",
  "missing",
  "range",
  "self",
];
const FILTERS = [
  "tojson",
  "length",
  "trim",
  "upper",
  "list",
  "first",
  "last",
  "join",
  "join(',')",
  "sort",
  "unique",
  "string",
  "int",
  "items",
  "dictsort",
  "reverse",
  "map('upper')",
  "map(attribute='role')",
  "select",
  "reject('none')",
  "sum",
  "max",
  "selectattr('role')",
  "selectattr('role', 'equalto', 'user')",
  "replace('a', 'bb')",
  "indent(3)",
  "default('d')",
  "round",
  "abs",
  "title",
  "safe",
  "tojson(indent=2)",
  "nope",
  "batch(2)",
];
const OPERATORS = [
  "+",
  "-",
  "*",
  "/",
  "//",
  "%",
  "**",
  "~",
  "==",
  "!=",
  "<",
  ">",
  "<=",
  "in",
  "not in",
  "and",
  "or",
];
const METHODS = [
  "split()",
  "split('a')",
  "strip()",
  "replace('a', 'aa')",
  "items()",
  "get('role')",
  "upper()",
  "join(messages)",
  "nope()",
  "content",
  "role",
];

function expression(random: Random, depth: number): string {
  const inner = () => expression(random, depth + 1);
  if (depth > 4 || random.chance(0.3)) {
    return random.pick([
      random.pick(NAMES),
      `'${random.pick(["a", "", "<|im_end|>", "aaaa", "\\n", "é😀"])}'`,
      String(random.pick([0, 1, -1, 2, 7, 1000, 99999999, 0.5])),
      "[]",
      "{}",
    ]);
  }
  switch (random.below(9)) {
    case 0:
      return `(${inner()} ${random.pick(OPERATORS)} ${inner()})`;
    case 1:
      return `${inner()} | ${random.pick(FILTERS)}`;
    case 2:
      return `${random.pick(NAMES)}.${random.pick(METHODS)}`;
    case 3:
      return `${random.pick(NAMES)}[${inner()}]`;
    case 4:
      return `[${inner()}, ${inner()}]`;
    case 5:
      return `{'a': ${inner()}, 'role': ${inner()}}`;
    case 6:
      return `(${inner()} if ${inner()} else ${inner()})`;
    case 7:
      return `${inner()} is ${random.pick(["defined", "string", "none", "mapping", "iterable", "odd", "nope"])}`;
    default:
      return `range(${inner()})`;
  }
}

function statement(random: Random, depth: number): string {
  const dash = () => (random.chance(0.3) ? "-" : "");
  const tag = (text: string) => `{%${dash()} ${text} ${dash()}%}`;
  const body = () => Array.from({ length: random.below(3) }, () => statement(random, depth + 1)).join("");
  const one = () => expression(random, 0);
  if (depth > 4) return `{{ ${one()} }}`;
  switch (random.below(9)) {
    case 0:
      return (
        tag(`for x in ${random.pick(["messages", "range(50)", "range(3000)", "range(99999999)", one()])}`) +
        body() +
        tag("endfor")
      );
    case 1:
      return tag(`if ${one()}`) + body() + (random.chance(0.4) ? tag("else") + body() : "") + tag("endif");
    case 2:
      return tag(`set ${random.pick(["x", "m", "ns.a", "bos_token"])} = ${one()}`);
    case 3:
      return `${tag("set ns = namespace(a='ab')")}${tag("for x in range(200)")}${tag(`set ns.a = ns.a ${random.pick(OPERATORS)} ns.a`)}${tag("endfor")}{{ ns.a }}`;
    case 4:
      return `${tag("macro f(a, b=2)")}${body()}${random.pick(["", "{{ f(a) }}", "{{ f(a, b) }}{{ f(b) }}"])}${tag("endmacro")}{{ f(${one()}) }}`;
    case 5:
      return random.pick(["text ", "<|im_start|>", "\n\n", "   ", "{# note #}", "{{", "%}", "{% raw %}"]);
    case 6:
      return tag(
        random.pick(["break", "continue", "generation", "endgeneration", "endfor", "include 'x'", "set"]),
      );
    default:
      return `{{${dash()} ${one()} ${dash()}}}`;
  }
}

export function randomTemplate(random: Random): string {
  return Array.from({ length: 1 + random.below(6) }, () => statement(random, 0)).join("");
}
