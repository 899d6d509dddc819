import { describe, expect, it } from "vitest";
import { createApp } from "../app.ts";
import { eventsOf, post, user } from "../fixtures/client.ts";
import { model } from "../fixtures/tiny.ts";

const app = createApp({ models: { tiny: model } });
const greedy = { temperature: 0, max_output_tokens: 8 };

describe("/v1/responses", () => {
  it("answers a text and a list of items as the chat API does", async () => {
    const messages = [{ role: "system", content: "You are a pirate." }, ...user("Who are you?")];
    const chat = await post(app, "/v1/chat/completions", { temperature: 0, max_tokens: 8, messages });
    const expected = chat.body.choices[0].message.content;
    const parts = [{ type: "input_text", text: "Who are you?" }];
    for (const request of [
      { instructions: "You are a pirate.", input: "Who are you?" },
      { instructions: "You are a pirate.", input: [{ role: "user", content: parts }] },
      {
        input: [
          { type: "message", role: "developer", content: "You are a pirate." },
          { role: "user", content: parts },
        ],
      },
    ]) {
      const { status, body } = await post(app, "/v1/responses", { ...greedy, ...request });
      expect(status).toBe(200);
      expect(body).toMatchObject({
        object: "response",
        status: "incomplete",
        incomplete_details: { reason: "max_output_tokens" },
        output: [
          {
            type: "message",
            role: "assistant",
            content: [{ type: "output_text", text: expected, annotations: [] }],
          },
        ],
        usage: { input_tokens: chat.body.usage.prompt_tokens, output_tokens: 8 },
      });
    }
  });

  it("streams events that are numbered and end with the whole response", async () => {
    const request = { ...greedy, input: "Who are you?" };
    const whole = (await post(app, "/v1/responses", request)).body;
    const { body, headers } = await post(app, "/v1/responses", { ...request, stream: true });
    expect(headers.get("content-type")).toContain("text/event-stream");
    const events = eventsOf(body, null);
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, i) => i));
    expect(body).toMatch(/^event: response\.created\ndata: /);
    const types = events.map(({ type }) => type);
    const deltas = types.filter((type) => type === "response.output_text.delta").length;
    expect(deltas).toBeGreaterThan(2);
    expect(types).toEqual([
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      ...Array(deltas).fill("response.output_text.delta"),
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.incomplete",
    ]);
    const text = events
      .flatMap(({ type, delta }) => (type === "response.output_text.delta" ? [delta] : []))
      .join("");
    expect(text).toBe(whole.output[0].content[0].text);
    expect(events.at(-1).response.output[0].content[0].text).toBe(text);
    expect(events.at(-1).response.usage).toMatchObject({ output_tokens: 8 });
  });

  it("says what it has not: kept conversations, formats, images", async () => {
    for (const [fields, param] of [
      [{ previous_response_id: "resp_1" }, "previous_response_id"],
      [{ conversation: "c" }, "conversation"],
      [{ text: { format: { type: "json_schema" } } }, "text.format"],
      [{ background: true }, "background"],
      [{ input: [{ role: "user", content: [{ type: "input_image" }] }] }, "input[0]"],
      [{ input: [] }, "input"],
    ] as const) {
      const { status, body } = await post(app, "/v1/responses", { input: "x", ...fields });
      expect(status).toBe(400);
      expect(body.error.param).toContain(param);
    }
  });
});
