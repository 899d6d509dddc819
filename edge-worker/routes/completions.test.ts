import { describe, expect, it } from "vitest";
import { generate } from "../../sdk/index.ts";
import { createApp } from "../app.ts";
import { eventsOf, post } from "../fixtures/client.ts";
import { model } from "../fixtures/tiny.ts";

const app = createApp({ models: { tiny: model } });
const prompt = "Once upon a time";
const greedy = { temperature: 0, max_tokens: 6 };

describe("/v1/completions", () => {
  it("continues texts and token ids as generate does, several at once, echoed or not", async () => {
    const { text, usage } = await generate(model, prompt, greedy).result;
    const ids = [...model.tokenizer.encode(prompt, { add_special_tokens: true })];
    for (const given of [prompt, ids]) {
      const { status, body } = await post(app, "/v1/completions", { ...greedy, prompt: given });
      expect(status).toBe(200);
      expect(body).toMatchObject({
        object: "text_completion",
        choices: [{ index: 0, text, logprobs: null }],
      });
      expect(body.usage.prompt_tokens).toBe(usage.prompt_tokens);
    }
    const { body } = await post(app, "/v1/completions", {
      ...greedy,
      prompt: [prompt, "The sea"],
      n: 2,
      echo: true,
    });
    const texts = body.choices.map((one: { text: string }) => one.text);
    expect(texts.slice(0, 2)).toEqual([prompt + text, prompt + text]);
    expect(texts.slice(2).every((one: string) => one.startsWith("The sea"))).toBe(true);
    const sea = model.tokenizer.encode("The sea", { add_special_tokens: true }).length;
    expect(body.usage.prompt_tokens).toBe(usage.prompt_tokens + sea);
  });

  it("streams the same, with log-probabilities in the older form", async () => {
    const request = { ...greedy, prompt, logprobs: 2, echo: true };
    const whole = (await post(app, "/v1/completions", request)).body;
    const chunks = eventsOf(
      (
        await post(app, "/v1/completions", {
          ...request,
          stream: true,
          stream_options: { include_usage: true },
        })
      ).body,
    );
    const choices = chunks.flatMap((chunk) => chunk.choices);
    expect(choices.map(({ text }) => text).join("")).toBe(whole.choices[0].text);
    const tokens = choices.flatMap(({ logprobs }) => logprobs?.tokens ?? []);
    const offsets = choices.flatMap(({ logprobs }) => logprobs?.text_offset ?? []);
    expect([tokens, offsets]).toEqual([
      whole.choices[0].logprobs.tokens,
      whole.choices[0].logprobs.text_offset,
    ]);
    expect(offsets[0]).toBe(prompt.length);
    expect(Object.keys(whole.choices[0].logprobs.top_logprobs[0])).toHaveLength(2);
    expect(chunks.at(-1).usage.completion_tokens).toBe(whole.usage.completion_tokens);
  });

  it("refuses what it cannot do", async () => {
    for (const [fields, param] of [
      [{ suffix: "x" }, "suffix"],
      [{ best_of: 3 }, "best_of"],
      [{ response_format: { type: "json_object" } }, "response_format"],
      [{ prompt: [] }, "prompt"],
      [{ prompt: [[1], "x"] }, "prompt"],
      [{ prompt: [-1] }, "prompt"],
    ] as const) {
      const { status, body } = await post(app, "/v1/completions", { prompt, ...fields });
      expect(status).toBe(400);
      expect(body.error.param).toContain(param);
    }
    expect((await post(app, "/v1/completions", { prompt: [10 ** 8] })).status).toBe(400);
  });
});

describe("/v1/embeddings", () => {
  it("gives the mean of the residual stream at a layer, as numbers or base64", async () => {
    const input = ["The sky is blue.", "Arr, the sea!"];
    const { body, status } = await post(app, "/v1/embeddings", { input, capstan: { layer: 2 } });
    expect(status).toBe(200);
    const site = "blocks.2.hook_resid_post";
    const tokens = model.tokenizer.encode(input[1]!, { add_special_tokens: true });
    const { captures } = await model.forward(tokens, { capture: [site] });
    const { d_model } = model.spec;
    for (let k = 0; k < d_model; k += 17) {
      let sum = 0;
      for (let t = 0; t < tokens.length; t++) sum += captures[site]![t * d_model + k]!;
      expect(body.data[1].embedding[k]).toBeCloseTo(sum / tokens.length, 3);
    }
    expect(body.capstan).toEqual({ layer: 2, site, cap: null });
    const encoded = await post(app, "/v1/embeddings", {
      input,
      capstan: { layer: 2 },
      encoding_format: "base64",
    });
    const bytes = Buffer.from(encoded.body.data[1].embedding, "base64");
    const floats = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    expect([...floats]).toEqual(body.data[1].embedding);
    expect(body.usage.total_tokens).toBeGreaterThan(tokens.length);
  });

  it("refuses another width, another layer and an input beyond the context", async () => {
    const wrong = [
      [{ input: "x", dimensions: 7 }, "dimensions"],
      [{ input: "x", capstan: { layer: 99 } }, "capstan.layer"],
      [{ input: "word ".repeat(2000) }, "input"],
      [{ input: "" }, "input"],
    ] as const;
    for (const [body, param] of wrong) {
      const answer = await post(app, "/v1/embeddings", body);
      expect([answer.status, answer.body.error.param]).toEqual([400, param]);
    }
  });
});
