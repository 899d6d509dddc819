import { describe, expect, it } from "vitest";
import { generate } from "../../sdk/index.ts";
import { createApp } from "../app.ts";
import { eventsOf, get, post, user } from "../fixtures/client.ts";
import { model } from "../fixtures/tiny.ts";

const app = createApp({ models: { tiny: model } });
const CHAT = "/v1/chat/completions";
const greedy = { model: "tiny", temperature: 0, max_tokens: 12 };

describe("/v1/chat/completions", () => {
  it("answers as generate does", async () => {
    const messages = user("Who are you?");
    const { status, body, headers } = await post(app, CHAT, { ...greedy, messages });
    expect(status).toBe(200);
    const expected = await generate(model, messages, { temperature: 0, max_tokens: 12 }).result;
    expect(body).toMatchObject({
      object: "chat.completion",
      model: "tiny",
      choices: [
        { index: 0, message: { role: "assistant", content: expected.text, refusal: null }, logprobs: null },
      ],
      usage: {
        prompt_tokens: expected.usage.prompt_tokens,
        completion_tokens: expected.usage.completion_tokens,
        total_tokens: expected.usage.total_tokens,
      },
    });
    expect(body.choices[0].finish_reason).toBe(expected.finish_reason);
    expect(body.id).toMatch(/^chatcmpl-/);
    expect(headers.get("x-request-id")).toMatch(/^req_/);
    expect(headers.get("x-capstan-cap")).toBe("none");
    expect(body).not.toHaveProperty("capstan");
  });

  it("streams the same: the role first, text, the reason it ended, the usage in a chunk without choices", async () => {
    const request = { ...greedy, messages: user("Who are you?") };
    const whole = await post(app, CHAT, request);
    const { headers, body } = await post(app, CHAT, {
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    const chunks = eventsOf(body);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    expect(chunks[0]).toMatchObject({
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }],
      usage: null,
    });
    const text = chunks
      .flatMap(({ choices }) =>
        choices.map((choice: { delta: { content?: string } }) => choice.delta.content ?? ""),
      )
      .join("");
    expect(text).toBe(whole.body.choices[0].message.content);
    expect(chunks.at(-2).choices[0]).toMatchObject({
      delta: {},
      finish_reason: whole.body.choices[0].finish_reason,
    });
    expect(chunks.at(-1).choices).toEqual([]);
    expect(chunks.at(-1).usage).toMatchObject({
      ...whole.body.usage,
      prompt_tokens_details: { cached_tokens: expect.any(Number) },
    });
    const without = eventsOf((await post(app, CHAT, { ...request, stream: true })).body);
    expect(without.every((chunk) => !("usage" in chunk) && chunk.choices.length === 1)).toBe(true);
  });

  it("passes on every field of sampling", async () => {
    const sampling = {
      temperature: 1.3,
      top_p: 0.8,
      top_k: 40,
      min_p: 0.01,
      repetition_penalty: 1.2,
      frequency_penalty: 0.5,
      presence_penalty: 0.4,
      seed: 11,
      stop: ["."],
    };
    const messages = user("Tell me a story.");
    const bias = { 5: -7, 300: 2 };
    const { body } = await post(app, CHAT, {
      model: "tiny",
      messages,
      max_completion_tokens: 24,
      ...sampling,
      logit_bias: bias,
    });
    const expected = await generate(model, messages, { max_tokens: 24, ...sampling, logit_bias: bias })
      .result;
    expect(body.choices[0].message.content).toBe(expected.text);
    const again = await post(app, CHAT, {
      model: "tiny",
      messages,
      max_completion_tokens: 24,
      ...sampling,
      seed: -3,
    });
    expect(again.status).toBe(200);
  });

  it("gives n replies, each of its own seed, streamed or not", async () => {
    const request = {
      model: "tiny",
      messages: user("Tell me a story."),
      n: 3,
      seed: 5,
      temperature: 1,
      max_tokens: 10,
    };
    const { body } = await post(app, CHAT, request);
    const texts = body.choices.map(({ message }: { message: { content: string } }) => message.content);
    expect(new Set(texts).size).toBe(3);
    expect(body.choices.map(({ index }: { index: number }) => index)).toEqual([0, 1, 2]);
    const streamed = ["", "", ""];
    for (const { choices } of eventsOf((await post(app, CHAT, { ...request, stream: true })).body))
      for (const { index, delta } of choices) streamed[index] += delta.content ?? "";
    expect(streamed).toEqual(texts);
    expect(body.usage.completion_tokens).toBeGreaterThan(10);
  });

  it("gives log-probabilities as OpenAI does", async () => {
    const request = { ...greedy, messages: user("Who are you?"), logprobs: true, top_logprobs: 2 };
    const { body } = await post(app, CHAT, request);
    const { content } = body.choices[0].logprobs;
    expect(content.map(({ token }: { token: string }) => token).join("")).toBe(
      body.choices[0].message.content,
    );
    expect(content[0].top_logprobs).toHaveLength(2);
    expect(content[0].top_logprobs[0].token).toBe(content[0].token);
    expect(content[0].bytes).toEqual([...new TextEncoder().encode(content[0].token)]);
    const streamed = eventsOf((await post(app, CHAT, { ...request, stream: true })).body);
    const tokens = streamed.flatMap(({ choices }) => choices[0].logprobs?.content ?? []);
    expect(tokens).toEqual(content);
  });

  it("takes contents in parts, the developer's role, and an assistant's turn at the end", async () => {
    const parts = [
      {
        role: "user",
        content: [
          { type: "text", text: "Who are " },
          { type: "text", text: "you?" },
        ],
      },
    ];
    const plain = await post(app, CHAT, { ...greedy, messages: user("Who are you?") });
    expect((await post(app, CHAT, { ...greedy, messages: parts })).body.choices).toEqual(plain.body.choices);
    const as = (role: string) => [{ role, content: "You are a pirate." }, ...user("Who are you?")];
    const developer = await post(app, CHAT, { ...greedy, messages: as("developer") });
    expect(developer.body.choices).toEqual(
      (await post(app, CHAT, { ...greedy, messages: as("system") })).body.choices,
    );
    const prefilled = [...user("Who are you?"), { role: "assistant", content: "I am" }];
    const continued = await post(app, CHAT, { ...greedy, messages: prefilled, continue_final_message: true });
    const expected = await generate(model, prefilled, {
      temperature: 0,
      max_tokens: 12,
      continue_final_message: true,
    }).result;
    expect(continued.body.choices[0].message.content).toBe(expected.text);
    expect((await post(app, CHAT, { ...greedy, messages: prefilled })).status).toBe(200);
  });

  it("answers without a model's name, and refuses one that it has not", async () => {
    expect((await post(app, CHAT, { messages: user("Hi"), max_tokens: 1 })).body.model).toBe("tiny");
    const { status, body } = await post(app, CHAT, { model: "gpt-4o", messages: user("Hi") });
    expect(status).toBe(404);
    expect(body).toEqual({
      error: {
        message: 'The model "gpt-4o" does not exist.',
        type: "invalid_request_error",
        param: "model",
        code: "model_not_found",
      },
    });
  });
});

describe("what is refused", () => {
  const request = { model: "tiny", messages: user("Hi"), max_tokens: 1 };
  const wrong: [string, unknown, number, string | null, RegExp][] = [
    ["broken JSON", "{", 400, null, /could not parse/],
    ["no JSON object", "[]", 400, null, /Invalid value for the body/],
    ["deep JSON", `${"[".repeat(100_000)}`, 400, null, /deeper than 64/],
    ["bad UTF-8", new Uint8Array([0x7b, 0xff, 0x7d]), 400, null, /UTF-8/],
    ["no messages", { model: "tiny" }, 400, "messages", /Missing required parameter: 'messages'/],
    ["empty messages", { ...request, messages: [] }, 400, "messages", /'messages'/],
    [
      "a role that is none",
      { ...request, messages: [{ role: "wizard", content: "x" }] },
      400,
      "messages[0].role",
      /role/,
    ],
    [
      "a message without content",
      { ...request, messages: [{ role: "user" }] },
      400,
      "messages[0].content",
      /content/,
    ],
    [
      "an image",
      { ...request, messages: [{ role: "user", content: [{ type: "image_url" }] }] },
      400,
      "messages[0].content[0]",
      /text alone/,
    ],
    [
      "an unknown field",
      { ...request, temprature: 1 },
      400,
      "temprature",
      /Unrecognized request argument supplied: temprature. Is 'temperature'/,
    ],
    ["a wrong type", { ...request, temperature: "hot" }, 400, "temperature", /'temperature'/],
    [
      "a huge number",
      '{"messages":[{"role":"user","content":"x"}],"temperature":1e999}',
      400,
      "temperature",
      /'temperature'/,
    ],
    ["a value out of range", { ...request, top_p: 1.5 }, 400, "top_p", /'top_p'/],
    ["no tokens", { ...request, max_tokens: 0 }, 400, "max_tokens", /'max_tokens'/],
    ["an empty stop", { ...request, stop: "" }, 400, "stop", /'stop'/],
    ["a token that it has not", { ...request, logit_bias: { 99999999: 1 } }, 400, "logit_bias", /token ids/],
    [
      "a JSON schema",
      { ...request, response_format: { type: "json_schema", json_schema: {} } },
      400,
      "response_format",
      /does not constrain its output yet/,
    ],
    ["a forced tool", { ...request, tool_choice: "required" }, 400, "tool_choice", /does not constrain/],
    [
      "tools for a template without",
      { ...request, tools: [{ type: "function", function: { name: "f" } }] },
      400,
      "tools",
      /no place for tools/,
    ],
    ["top_logprobs alone", { ...request, top_logprobs: 3 }, 400, "top_logprobs", /needs 'logprobs'/],
    ["stream_options alone", { ...request, stream_options: {} }, 400, "stream_options", /'stream' is true/],
    [
      "a template's own variable",
      { ...request, chat_template_kwargs: { messages: [] } },
      400,
      "chat_template_kwargs.messages",
      /may set/,
    ],
    [
      "a prompt beyond the context",
      { ...request, messages: user("word ".repeat(3000)) },
      400,
      "messages",
      /n_ctx/,
    ],
  ];
  it.each(wrong)("%s", async (_, body, status, param, message) => {
    const answer = await post(app, CHAT, body);
    expect(answer.body.error).toEqual({
      message: expect.stringMatching(message),
      type: "invalid_request_error",
      param,
      code: answer.body.error.code,
    });
    expect(answer.status).toBe(status);
    const streamed =
      typeof body === "object" && !(body instanceof Uint8Array)
        ? { ...(body as object), stream: true }
        : body;
    if (param !== "stream_options") expect((await post(app, CHAT, streamed)).status).toBe(status);
  });

  it("another content type, an unknown path, a method that a path has not", async () => {
    expect((await post(app, CHAT, "a=1", { "content-type": "text/plain" })).status).toBe(415);
    expect((await get(app, "/v2/x")).body.error).toMatchObject({ code: "unknown_url" });
    expect((await get(app, CHAT)).status).toBe(405);
  });
});
