import { Template } from "@huggingface/jinja";
import { CapstanError, show } from "../../models/index.ts";
import type { Message, TemplateArgs } from "../types.ts";

/** A model's chat template, rendered as transformers does it. */
export class ChatTemplate {
  readonly #template: Template;
  readonly #variables: Readonly<Record<string, unknown>>;

  /**
   * @param source jinja text
   * @param variables what the tokenizer adds: `bos_token`, `eos_token`, ...
   * @throws CapstanError `tokenizer` when the text is no jinja
   */
  constructor(source: string, variables: Readonly<Record<string, unknown>>) {
    try {
      this.#template = new Template(source);
    } catch (cause) {
      const parts = { action: "read the chat template", need: "jinja", found: messageOf(cause) };
      throw new CapstanError("tokenizer", parts, { cause });
    }
    this.#template.parsed = repair(this.#template.parsed) as Template["parsed"];
    this.#variables = variables;
  }

  /**
   * @param now what `strftime_now` tells
   * @throws CapstanError `bad_request` with the template's own words where it refuses the messages
   */
  render(messages: readonly Message[], args: TemplateArgs, now: Date): string {
    const functions = {
      [STRIP]: pythonStrip,
      [RAISE]: (text: unknown) => {
        throw new Refusal(String(text));
      },
      [NOW]: (format: unknown) => strftime(now, String(format)),
    };
    const given = Object.fromEntries(Object.entries(args).filter(([, value]) => value !== undefined));
    try {
      // transformers passes None for what is absent.
      const all = { tools: null, documents: null, ...this.#variables, ...given, messages, ...functions };
      return this.#template.render(all);
    } catch (cause) {
      const refused = cause instanceof Refusal;
      throw new CapstanError(
        "bad_request",
        {
          action: "render the chat template",
          need: refused ? "messages that it takes" : "messages and arguments that it can render",
          found: refused ? show(cause.message) : messageOf(cause),
        },
        { cause },
      );
    }
  }
}

/** The template's own `raise_exception`. */
class Refusal extends Error {}

function messageOf(error: unknown): string {
  return show(error instanceof Error ? error.message : String(error));
}

/** Names under which the repaired template finds our functions; no template uses them itself. */
const STRIP = "__capstan_strip";
const RAISE = "__capstan_raise";
const NOW = "__capstan_now";
const STRIP_METHODS: Record<string, string> = { strip: "both", lstrip: "left", rstrip: "right" };

type Node = Record<string, unknown>;

/**
 * Rewrites a parsed template so that calls which the library computes otherwise than Python go to functions of ours:
 * `text.strip(chars)` and its kin (the library ignores `chars`, and JavaScript's idea of whitespace is not
 * Python's), the filter `trim`, `raise_exception` and `strftime_now`.
 */
function repair(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(repair);
  if (node instanceof Map) return new Map([...node].map(([key, value]) => [repair(key), repair(value)]));
  if (typeof node !== "object" || node === null) return node;
  const copy: Node = Object.assign(Object.create(Object.getPrototypeOf(node)), node);
  for (const [key, value] of Object.entries(copy)) copy[key] = repair(value);
  if (copy.type === "CallExpression") return repairCall(copy);
  if (copy.type === "FilterExpression" && nameOf(copy.filter) === "trim") {
    return call(STRIP, [copy.operand, literal("both")]);
  }
  return copy;
}

function repairCall(node: Node): Node {
  const callee = node.callee as Node;
  const args = node.args as unknown[];
  const name = nameOf(callee);
  if (name === "raise_exception") return call(RAISE, args);
  if (name === "strftime_now") return call(NOW, args);
  const method = callee.type === "MemberExpression" ? nameOf(callee.property) : undefined;
  const side = method === undefined || callee.computed ? undefined : STRIP_METHODS[method];
  return side === undefined ? node : call(STRIP, [callee.object, literal(side), ...args]);
}

function nameOf(node: unknown): string | undefined {
  const { type, value } = node as Node;
  return type === "Identifier" ? String(value) : undefined;
}

function call(name: string, args: unknown[]): Node {
  return { type: "CallExpression", callee: { type: "Identifier", value: name }, args };
}

function literal(value: string): Node {
  return { type: "StringLiteral", value };
}

/** What Python's `str.strip()` removes. */
const PYTHON_SPACE =
  "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a" +
  "\u2028\u2029\u202f\u205f\u3000";

/** Python's `str.strip(chars)`, `lstrip`, `rstrip`, jinja's `trim`. */
function pythonStrip(value: unknown, side: string, chars?: unknown): string {
  const strip = new Set(typeof chars === "string" ? chars : PYTHON_SPACE);
  // By code points: a strip set may hold an emoji.
  const points = Array.from(String(value ?? ""));
  let start = 0;
  let end = points.length;
  if (side !== "right") while (start < end && strip.has(points[start]!)) start++;
  if (side !== "left") while (end > start && strip.has(points[end - 1]!)) end--;
  return points.slice(start, end).join("");
}

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = "January February March April May June July August September October November December".split(
  " ",
);

/** Python's strftime in the C locale, for the fields that templates use. */
function strftime(date: Date, format: string): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const day = DAYS[date.getDay()]!;
  const month = MONTHS[date.getMonth()]!;
  const fields: Record<string, string> = {
    Y: String(date.getFullYear()),
    y: two(date.getFullYear() % 100),
    m: two(date.getMonth() + 1),
    d: two(date.getDate()),
    e: String(date.getDate()).padStart(2, " "),
    B: month,
    b: month.slice(0, 3),
    A: day,
    a: day.slice(0, 3),
    H: two(date.getHours()),
    I: two(date.getHours() % 12 || 12),
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
    p: date.getHours() < 12 ? "AM" : "PM",
    "%": "%",
  };
  // Python's `-` drops the padding: %-d.
  return format.replace(/%(-?)([a-zA-Z%])/g, (whole, bare: string, name: string) => {
    const field = fields[name];
    if (field === undefined) return whole;
    return bare === "" ? field : field.replace(/^[0 ](?=.)/, "");
  });
}
