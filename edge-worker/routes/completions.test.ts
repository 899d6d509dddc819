import { describe, expect, it } from "vitest";
import { generate } from "../../sdk/index.ts";
import { createApp } from "../app.ts";
import { eventsOf, post } from "../fixtures/client.ts";
import { CAPPED, files, model } from "../fixtures/tiny.ts";

const app = createApp({ models: { tiny: model } });
const prompt = "Once upon a time";
const greedy = { temperature: 0, max_tokens: 6 };
const endless = { logit_bias: Object.fromEntries([...model.spec.eos_token_ids].map((id) => [id, -100])) };

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
    expect(offsets[0]).toBe(0);
    const { top_logprobs } = whole.choices[0].logprobs;
    expect(top_logprobs.slice(1).map((one: object) => Object.keys(one).length)).toEqual(
      new Array(tokens.length - 1).fill(2),
    );
    expect(chunks.at(-1).usage.completion_tokens).toBe(whole.usage.completion_tokens);
  });

  it("scores a prompt: echo and log-probabilities, with nothing generated or with a reply behind it", async () => {
    const text = "Once upon a time there was a pirate who sailed the sea, and the sky was blue.";
    const ids = model.tokenizer.encode(text, { add_special_tokens: true });
    const { logits } = await model.forward(ids, { logits: "all" });
    const { d_vocab } = model.spec;
    const expected = Array.from(ids, (id, t) => {
      if (t === 0) return null;
      const row = Array.from(logits.subarray((t - 1) * d_vocab, t * d_vocab));
      return row[id]! - Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0));
    });
    const { body } = await post(app, "/v1/completions", {
      prompt: text,
      max_tokens: 0,
      echo: true,
      logprobs: 3,
    });
    const [choice] = body.choices;
    expect(choice).toMatchObject({ text, finish_reason: "length" });
    expect(body.usage).toMatchObject({
      prompt_tokens: ids.length,
      completion_tokens: 0,
      total_tokens: ids.length,
    });
    const { token_logprobs, top_logprobs, text_offset, tokens } = choice.logprobs;
    expect(token_logprobs[0]).toBeNull();
    expect(top_logprobs[0]).toBeNull();
    expect(ids.length).toBeGreaterThan(16);
    for (const [t, value] of expected.entries())
      if (value !== null) expect(token_logprobs[t]).toBeCloseTo(value, 3);
    for (const [t, top] of top_logprobs.entries()) {
      if (t === 0) continue;
      const best = Math.max(...(Object.values(top) as number[]));
      expect(Object.values(top)).toHaveLength(3);
      expect(best).toBeGreaterThanOrEqual(token_logprobs[t] - 1e-4);
    }
    expect(text_offset.map((from: number, t: number) => text.slice(from, text_offset[t + 1]))).toEqual(
      tokens,
    );

    const replied = (
      await post(app, "/v1/completions", { ...greedy, ...endless, prompt: text, echo: true, logprobs: 0 })
    ).body;
    const of_both = replied.choices[0].logprobs;
    expect(of_both.token_logprobs.slice(0, ids.length)).toEqual(token_logprobs);
    expect(of_both.tokens.length).toBe(ids.length + replied.usage.completion_tokens);
    expect(of_both.text_offset[ids.length]).toBe(text.length);
  });

  it("generates nothing where nothing is asked for: no text without echo, the prompts with it, streamed alike", async () => {
    const request = { prompt: ["Once", "The sea"], max_tokens: 0 };
    const plain = (await post(app, "/v1/completions", request)).body;
    expect(plain.choices.map(({ text }: { text: string }) => text)).toEqual(["", ""]);
    expect(plain.usage.completion_tokens).toBe(0);
    const streamed = await post(app, "/v1/completions", {
      ...request,
      echo: true,
      logprobs: 1,
      stream: true,
    });
    const chunks = eventsOf(streamed.body).flatMap(({ choices }) => choices);
    for (const index of [0, 1]) {
      const own = chunks.filter((one) => one.index === index);
      expect(own.map(({ text }) => text).join("")).toBe(request.prompt[index]);
      expect(own.at(-1).finish_reason).toBe("length");
      expect(own[0].logprobs.token_logprobs[0]).toBeNull();
    }
  });

  it("scores under the cap that acts", async () => {
    const capped = createApp({ models: { tiny: model }, files, policy: { models: { tiny: CAPPED } } });
    const request = { prompt, max_tokens: 0, echo: true, logprobs: 0 };
    const logprobsOf = async (given: object) =>
      (await post(capped, "/v1/completions", { ...request, ...given })).body.choices[0].logprobs
        .token_logprobs;
    const uncapped = (await post(app, "/v1/completions", request)).body.choices[0].logprobs.token_logprobs;
    expect(await logprobsOf({ capstan: { cap: false } })).toEqual(uncapped);
    expect(await logprobsOf({})).not.toEqual(uncapped);
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
