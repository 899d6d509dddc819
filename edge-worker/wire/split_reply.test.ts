import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ReplyPart, ReplySplitter, type SplitOptions, toolStyleOf } from "./split_reply.ts";

/** A reply's parts, its text coming in pieces cut at the given places. */
function split(text: string, options: SplitOptions, cuts: readonly number[] = []): ReplyPart[] {
  const splitter = new ReplySplitter(options);
  const parts: ReplyPart[] = [];
  const places = [0, ...[...cuts].map((cut) => cut % (text.length + 1)).sort((a, b) => a - b), text.length];
  for (let i = 1; i < places.length; i++) parts.push(...splitter.push(text.slice(places[i - 1], places[i])));
  parts.push(...splitter.flush());
  const joined: ReplyPart[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (part.kind !== "tool_call" && last?.kind === part.kind) last.text += part.text;
    else joined.push({ ...part });
  }
  return joined;
}

const call = (name: string, args: object) => ({ kind: "tool_call", name, arguments: JSON.stringify(args) });
const text = (of: string) => ({ kind: "text", text: of });
const reasoning = (of: string) => ({ kind: "reasoning", text: of });
const looking: SplitOptions = { reasoning: "looked for", tools: "hermes" };

const CASES: [string, string, SplitOptions, object[]][] = [
  ["plain text", "Hello <b>", looking, [text("Hello <b>")]],
  ["Qwen 3's reasoning", "<think>\nHm.\n</think>\n\nYes.", looking, [reasoning("Hm.\n"), text("Yes.")]],
  [
    "reasoning that the prompt has opened",
    "Hm.</think>Yes.",
    { reasoning: "inside", tools: null },
    [reasoning("Hm."), text("Yes.")],
  ],
  ["reasoning that is cut off", "<think>Hm, the", looking, [reasoning("Hm, the")]],
  ["a tag later on, which is text", "I say <think>", looking, [text("I say <think>")]],
  [
    "Hermes' call",
    '<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>',
    looking,
    [call("f", { x: 1 })],
  ],
  [
    "Qwen's calls behind reasoning and text",
    '<think>a</think>\n\nLet me see.\n<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>\n<tool_call>\n{"name": "g", "arguments": {"y": [2]}}\n</tool_call>',
    looking,
    [reasoning("a"), text("Let me see.\n"), call("f", {}), call("g", { y: [2] })],
  ],
  ["a call that is none", "<tool_call>f(x)</tool_call>.", looking, [text("<tool_call>f(x)</tool_call>.")]],
  [
    "a call that is cut off",
    '<tool_call>{"name": "f", "argu',
    looking,
    [text('<tool_call>{"name": "f", "argu')],
  ],
  [
    "Mistral's calls",
    '[TOOL_CALLS] [{"name": "f", "arguments": {"x": 1}}, {"name": "g", "arguments": {}}]',
    { reasoning: "none", tools: "mistral" },
    [call("f", { x: 1 }), call("g", {})],
  ],
  [
    "Mistral's newer call",
    '[TOOL_CALLS]f{"x": 1}',
    { reasoning: "none", tools: "mistral" },
    [call("f", { x: 1 })],
  ],
  [
    "Llama 3's call",
    '{"name": "f", "parameters": {"x": "1"}}',
    { reasoning: "none", tools: "llama" },
    [call("f", { x: "1" })],
  ],
  [
    "Llama 3's calls behind its tag",
    '<|python_tag|>{"name": "f", "parameters": {}}; {"name": "g", "parameters": {}}',
    { reasoning: "none", tools: "llama" },
    [call("f", {}), call("g", {})],
  ],
  ["JSON that is no call", '{"answer": 3}', { reasoning: "none", tools: "llama" }, [text('{"answer": 3}')]],
  [
    "no tools asked for",
    '<tool_call>{"name":"f"}</tool_call>',
    { reasoning: "none", tools: null },
    [text('<tool_call>{"name":"f"}</tool_call>')],
  ],
];

describe("a reply taken apart", () => {
  it.each(CASES)("%s", (_, reply, options, parts) => {
    expect(split(reply, options)).toEqual(parts);
  });

  it("comes to the same wherever the text is cut", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...CASES),
        fc.array(fc.nat(), { maxLength: 12 }),
        ([, reply, options, parts], cuts) => {
          expect(split(reply, options, cuts)).toEqual(parts);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("loses no character of a text without tags", () => {
    const plain = fc
      .string({ unit: "grapheme" })
      .filter((one) => !/^\s*[<{[]|\[TOOL|<tool|<think|<\|py/.test(one));
    const tools = fc.constantFrom("hermes" as const, "mistral" as const, null);
    fc.assert(
      fc.property(plain, tools, fc.array(fc.nat()), (reply, tools, cuts) => {
        const parts = split(reply, { reasoning: "none", tools }, cuts);
        expect(parts.map((part) => (part.kind === "text" ? part.text : "?")).join("")).toBe(reply);
      }),
    );
  });

  it("knows a template's style", () => {
    expect(toolStyleOf("{{ '[TOOL_CALLS]' }}")).toBe("mistral");
    expect(toolStyleOf("<|start_header_id|>ipython")).toBe("llama");
    expect(toolStyleOf("<tool_call>")).toBe("hermes");
  });
});
