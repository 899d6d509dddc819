import { describe, expect, it } from "vitest";
import { openFile } from "../../sdk/platform/index.ts";
import type { FileSource, Message, TemplateArgs } from "../../sdk/types.ts";
import { createApp } from "../app.ts";
import { eventsOf, post, user } from "../fixtures/client.ts";
import { loadScripted } from "../fixtures/scripted.ts";

/** Tools and reasoning from the request to the reply. What is drawn is scripted: a small model calls nothing. */

const TEMPLATE =
  "{% if tools %}<|im_start|>tools\n{{ tools | tojson }}<|im_end|>\n{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% for c in m.tool_calls or [] %}<tool_call>{{ c.function.arguments | tojson }}</tool_call>{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% if enable_thinking %}<think>\n{% endif %}{% endif %}";

/** capstan-tiny with a template that knows tools and thinks. */
async function withTemplate(): Promise<FileSource> {
  const config = JSON.stringify({ eos_token: "<|im_end|>", chat_template: TEMPLATE });
  const bytes = new TextEncoder().encode(config);
  const folder = `${import.meta.dirname}/../../models/capstan-tiny/`;
  const open = (name: string) => openFile(folder + name).catch(() => null);
  return {
    async size(name) {
      if (name === "tokenizer_config.json") return bytes.length;
      await using file = await open(name);
      return file?.size;
    },
    async read(name, start, end) {
      if (name === "tokenizer_config.json") return bytes.slice(start, end);
      await using file = await openFile(folder + name);
      return await file.read(start, end);
    },
  };
}

const { model, say } = await loadScripted(await withTemplate());
const app = createApp({ models: { tiny: model } });
const promptLength = (messages: Message[], args: TemplateArgs = {}) =>
  model.encodeChat(messages, args).tokens.length;
const tools = [
  {
    type: "function",
    function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
  },
];
const CALL =
  '<think>\nThe user asks.\n</think>\n\nLet me see.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>\n<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>';
const names = (calls: { function: { name: string; arguments: string } }[]) =>
  calls.map((call) => [call.function.name, call.function.arguments]);
const CALLS = [
  ["weather", '{"city":"Oslo"}'],
  ["weather", '{"city":"Rome"}'],
];

describe("tools and reasoning", () => {
  it("reach the template, and a reply's calls the client, each in its field", async () => {
    say(CALL);
    const { status, body } = await post(app, "/v1/chat/completions", { messages: user("Weather?"), tools });
    expect(status).toBe(200);
    expect(body.usage.prompt_tokens).toBe(promptLength(user("Weather?"), { tools }));
    const { message, finish_reason } = body.choices[0];
    expect(message).toMatchObject({ content: "Let me see.\n", reasoning_content: "The user asks.\n" });
    expect(names(message.tool_calls)).toEqual(CALLS);
    expect(new Set(message.tool_calls.map(({ id }: { id: string }) => id)).size).toBe(2);
    expect(finish_reason).toBe("tool_calls");
    expect(body.usage.completion_tokens_details.reasoning_tokens).toBeGreaterThan(3);
  });

  it("stream: reasoning, text, then calls with their index, and the reason", async () => {
    say(CALL);
    const { body } = await post(app, "/v1/chat/completions", {
      messages: user("Weather?"),
      tools,
      stream: true,
    });
    const deltas = eventsOf(body).map(({ choices }) => choices[0]);
    const joined = (field: string) => deltas.map(({ delta }) => delta[field] ?? "").join("");
    expect([joined("reasoning_content"), joined("content")]).toEqual(["The user asks.\n", "Let me see.\n"]);
    const calls = deltas.flatMap(({ delta }) => delta.tool_calls ?? []);
    expect(calls.map(({ index }) => index)).toEqual([0, 1]);
    expect(names(calls)).toEqual(CALLS);
    expect(deltas.at(-1).finish_reason).toBe("tool_calls");
  });

  it("come back as turns of the chat, arguments as the object that they are", async () => {
    say("It rains.");
    const call = {
      id: "call_1",
      type: "function",
      function: { name: "weather", arguments: '{"city":"Oslo"}' },
    };
    const messages = [
      ...user("Weather?"),
      { role: "assistant", content: null, tool_calls: [call] },
      { role: "tool", tool_call_id: "call_1", content: "rain" },
    ];
    const { body } = await post(app, "/v1/chat/completions", { messages, tools });
    expect(body.choices[0]).toMatchObject({ message: { content: "It rains." }, finish_reason: "stop" });
    expect(body.choices[0].message).not.toHaveProperty("tool_calls");
    // The template writes the object; a text of JSON would be written once more, in quotes.
    const called = { ...call, function: { ...call.function, arguments: { city: "Oslo" } } };
    const sent = [messages[0]!, { role: "assistant", content: "", tool_calls: [called] }, messages[2]!];
    expect(body.usage.prompt_tokens).toBe(promptLength(sent as Message[], { tools }));
  });

  it("are items and events of /v1/responses", async () => {
    say(CALL);
    const request = {
      input: "Weather?",
      tools: tools.map(({ function: f }) => ({ type: "function", ...f })),
    };
    const { body } = await post(app, "/v1/responses", request);
    expect(body.output.map(({ type }: { type: string }) => type)).toEqual([
      "reasoning",
      "message",
      "function_call",
      "function_call",
    ]);
    expect(body.output[0].content[0].text).toBe("The user asks.\n");
    expect(body.output[1].content[0].text).toBe("Let me see.\n");
    expect([body.output[2].name, body.output[2].arguments]).toEqual(CALLS[0]);
    expect(body.status).toBe("completed");
    const events = eventsOf((await post(app, "/v1/responses", { ...request, stream: true })).body, null);
    const done = events.filter(({ type }) => type === "response.output_item.done");
    expect(done.map(({ output_index, item }) => [output_index, item.type])).toEqual([
      [0, "reasoning"],
      [1, "message"],
      [2, "function_call"],
      [3, "function_call"],
    ]);
    expect(events.at(-1).response.output).toHaveLength(4);
    const turns = [
      { role: "user", content: "Weather?" },
      { type: "function_call", call_id: "c", name: "weather", arguments: '{"city":"Oslo"}' },
      { type: "function_call_output", call_id: "c", output: "rain" },
    ];
    say("It rains.");
    const { body: last } = await post(app, "/v1/responses", { input: turns });
    expect(last.output[0].content[0].text).toBe("It rains.");
    const sent = [
      ...user("Weather?"),
      {
        role: "assistant",
        content: "",
        tool_calls: [{ function: { name: "weather", arguments: { city: "Oslo" } } }],
      },
      { role: "tool", content: "rain" },
    ];
    expect(last.usage.input_tokens).toBe(promptLength(sent));
  });

  it("tool_choice none leaves tools out; a template that opens the reasoning is known", async () => {
    say("Hm.</think>Yes.");
    const request = {
      messages: user("x"),
      tools,
      tool_choice: "none",
      chat_template_kwargs: { enable_thinking: true },
    };
    const { body } = await post(app, "/v1/chat/completions", request);
    expect(body.usage.prompt_tokens).toBe(promptLength(user("x"), { enable_thinking: true }));
    expect(body.choices[0].message).toMatchObject({ reasoning_content: "Hm.", content: "Yes." });
  });
});
